from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.fuzz.corpus.request import OK, REFUSED, FuzzRequest
from tests.fuzz.under_load import GOOD, FuzzUnderLoad, good_requests

ERROR = {"code": 400, "type": "BadJSON", "message": "the body is not JSON: it is empty"}


def bad_request(body: bytes = b"bad") -> FuzzRequest:
    return FuzzRequest("case", "/predictions/digits", (), body, REFUSED, family="family", seed=1, number=2)


def neighbors() -> list[FuzzRequest]:
    return [FuzzRequest("good", "/", (), b"x" * n, OK, family=GOOD, number=n) for n in range(1, 4)]


class _FakeServer(BaseHTTPRequestHandler):
    """Refuses the body `bad`, fails on `worse`, and returns the size of any other. `spoiled` changes them."""

    protocol_version = "HTTP/1.1"
    spoiled = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = {b"bad": 400, b"worse": 500}.get(body, 200)
        document = {**ERROR, "code": status} if status != 200 else {"size": len(body), "spoiled": self.spoiled.is_set()}
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    _FakeServer.spoiled.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _FakeServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()


def test_server_that_keeps_the_contract_has_no_violations(address: tuple[str, int]) -> None:
    calls: list[int] = []
    outcome = FuzzUnderLoad(address, neighbors(), clients=4).run([bad_request()] * 30, 20, lambda: calls.append(1))
    assert outcome.violations == []
    assert outcome.statuses == {("family", 400): 30, (GOOD, 200): 10}
    assert len(calls) == 40
    assert 0 < outcome.slowest < 5


def test_server_error_and_changed_neighbor_are_violations(address: tuple[str, int]) -> None:
    load = FuzzUnderLoad(address, neighbors(), clients=2)
    _FakeServer.spoiled.set()
    outcome = load.run([bad_request(), bad_request(), bad_request(b"worse")], 20)
    texts = [str(violation) for violation in outcome.violations]
    assert len(texts) == 2
    assert any("family (seed 1, number 2)" in text and "got 500, accepted are 400, 413" in text for text in texts)
    assert any(GOOD in text and "differs from the reference" in text for text in texts)


def test_neighbor_that_fails_without_load_is_rejected(address: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"got 500"):
        FuzzUnderLoad(address, [FuzzRequest("good", "/", (), b"worse", OK, family=GOOD)])


def test_run_ends_at_its_time_limit(address: tuple[str, int]) -> None:
    assert FuzzUnderLoad(address, neighbors()).run([bad_request()] * 9, 0).statuses == {}


def test_good_requests_use_every_route() -> None:
    paths = {request.path for request in good_requests({str(n): b"image" for n in range(10)})}
    assert len(paths) == 6
