"""Documents come from the web process behind the proxy. Its death is answered at once, and delays no prediction."""

from __future__ import annotations

import os
import signal
import time

import requests

from serving.web.documents import OPENAPI
from serving.web.web_process import PAUSE_SECONDS
from tests.support.server import Server, alive

# For Python to start and to import the collector, on a busy machine.
START_SECONDS = 20


def test_document_is_the_file(server: Server) -> None:
    answer = requests.get(f"{server.url}/openapi.json?version=1", timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == OPENAPI.read_bytes()
    assert "Server" not in answer.headers


def test_metrics_are_not_reachable_through_the_proxy(server: Server) -> None:
    for path in ("/metrics", "/openapi.json/", "/openapi.json/../metrics", "//openapi.json"):
        prepared = requests.Request("GET", server.url).prepare()
        prepared.url = server.url + path
        with requests.Session() as session:
            assert session.send(prepared, timeout=30).status_code == 404, path


def test_killed_web_process_is_answered_503_and_comes_back(server: Server, digit: dict[str, bytes]) -> None:
    (pid,) = server.children("serving.web.server")
    os.kill(pid, signal.SIGKILL)
    while alive(pid):
        time.sleep(0.001)
    refused = requests.get(f"{server.url}/openapi.json", timeout=30)
    assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/json")
    assert (refused.json()["code"], refused.json()["type"]) == (503, "Unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert refused.elapsed.total_seconds() < 1
    assert requests.post(f"{server.url}/predictions/digits", data=digit["3"], timeout=30).status_code == 200
    deadline = time.monotonic() + PAUSE_SECONDS + START_SECONDS
    while requests.get(f"{server.url}/openapi.json", timeout=30).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert server.children("serving.web.server") != [pid]
    assert "the web process was killed by signal 9 (SIGKILL)" in server.log()
