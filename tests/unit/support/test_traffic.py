"""Open-loop traffic keeps its rate, and latency counts from the planned time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.traffic import Traffic


class Handler(BaseHTTPRequestHandler):
    """Answers with the version 1.0 after 0.2 s; an image of `fail` gets a 500."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.2)
        self.send_response(500 if body == b"fail" else 200)
        self.send_header("X-Model-Version", "1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """Write no log."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/predictions/digits"
    server.shutdown()
    server.server_close()


def test_traffic_does_not_wait_for_responses(url: str) -> None:
    with Traffic(url, [b"image", b"fail"], rate=50) as traffic:
        time.sleep(1)
    assert 30 <= len(traffic.answers) <= 90  # 50 a second, though each takes 0.2 s
    assert {answer.version for answer in traffic.answers} == {"1.0"}
    assert min(answer.seconds for answer in traffic.answers) >= 0.2
    assert abs(len(traffic.failed) - len(traffic.answers) / 2) <= 1
    assert {answer.status for answer in traffic.failed} == {500}


def test_request_without_a_server_has_status_0() -> None:
    with Traffic("http://127.0.0.1:9/predictions/digits", [b"image"], rate=20) as traffic:
        time.sleep(0.3)
    assert traffic.answers
    assert {answer.status for answer in traffic.answers} == {0}
