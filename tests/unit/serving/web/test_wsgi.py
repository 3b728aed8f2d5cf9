from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from serving.web import wsgi
from serving.web.wsgi import Environment, StartResponse
from tests.unit.serving.web.wsgi_client import call


def hello(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet, without Content-Length."""
    assert environment["REQUEST_METHOD"] == "GET"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello ", b"world"]


MOUNTED = wsgi.mount({"/hello": hello, "/again": hello})


def test_path_is_answered_by_its_application() -> None:
    answer = call(MOUNTED, "/hello")
    assert (answer.status, answer.body) == (200, b"hello world")


def test_head_has_the_headers_and_length_of_get() -> None:
    answer = call(MOUNTED, "/hello", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {"content-type": "text/plain", "content-length": "11"}


@pytest.mark.parametrize("path", ["/", "/hello/", "/helloo", "/metrics", ""])
def test_unknown_path_is_a_json_error(path: str) -> None:
    answer = call(MOUNTED, path)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    message = "no such path here: there is /hello, /again"
    assert json.loads(answer.body) == {"code": 404, "type": "NotFound", "message": message}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_method_is_a_json_error_with_allow(method: str) -> None:
    answer = call(MOUNTED, "/hello", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert json.loads(answer.body) == {"code": 405, "type": "MethodNotAllowed", "message": "send GET or HEAD"}


def test_head_of_an_error_has_no_body() -> None:
    answer = call(MOUNTED, "/nothing", "HEAD")
    assert (answer.status, answer.body) == (404, b"")
    assert int(answer.headers["content-length"]) == len(call(MOUNTED, "/nothing").body)
