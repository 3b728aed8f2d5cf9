"""WSGI (PEP 3333): its types, and applications that are mounted at paths, with JSON errors for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Environment = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environment, StartResponse], Iterable[bytes]]

METHODS = ("GET", "HEAD")


def mount(applications: Mapping[str, Application]) -> Application:
    """Return an application that passes a GET or HEAD request to the application of its path.

    An application only sees GET. For HEAD its body is dropped here. Other paths are answered 404, other methods 405.
    """

    def answer(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        application = applications.get(environment["PATH_INFO"])
        if application is None:
            application = _error(404, "Not Found", "NotFound", f"no such path here: there is {', '.join(applications)}")
        elif environment["REQUEST_METHOD"] not in METHODS:
            allow = ("Allow", ", ".join(METHODS))
            application = _error(405, "Method Not Allowed", "MethodNotAllowed", "send GET or HEAD", allow)
        if environment["REQUEST_METHOD"] == "HEAD":
            return _head(application, environment, start_response)
        return application(environment, start_response)

    return answer


def _error(code: int, reason: str, kind: str, message: str, *headers: tuple[str, str]) -> Application:
    """Return an application that answers every request with an error, in the JSON shape of all errors."""
    body = json.dumps({"code": code, "type": kind, "message": message}, separators=(",", ":")).encode()

    def answer(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        content = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{code} {reason}", [*content, *headers])
        return [body]

    return answer


def _head(application: Application, environment: Environment, start_response: StartResponse) -> list[bytes]:
    """Answer HEAD with the status and headers of GET, and without the body."""
    response: list[Any] = []
    as_get = environment | {"REQUEST_METHOD": "GET"}
    body = b"".join(application(as_get, lambda *status_and_headers: response.extend(status_and_headers)))
    status, headers = response
    if "content-length" not in {name.lower() for name, _ in headers}:
        headers = [*headers, ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return []
