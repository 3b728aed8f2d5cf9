"""The load generator against a server of a few lines, whose every answer is known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.tune import load
from serving.tune.load import Load, ReferenceRequest

RIGHT = {"predictions": [{"label": "3", "probability": 0.75}, {"label": "8", "probability": 0.25}]}
Reply = Callable[[int], tuple[int, bytes]]


@contextmanager
def server(reply: Reply, *, length: bool = True) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Its address and what it was sent; `reply` makes status and body from the number of a request."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = reply(len(bodies))
            self.send_response(status)
            if length:
                self.send_header("content-length", str(len(body)))
            else:
                self.close_connection = True
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, address: object) -> None:
            pass  # clients hang up when they have asked enough

    listening = Listener(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield ("127.0.0.1", listening.server_port), bodies
    finally:
        listening.shutdown()
        listening.server_close()


def order(address: tuple[str, int], clients: int = 2) -> Load:
    questions = [
        ReferenceRequest(b"POST /predictions/m/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n" + body, "3", 0.7501)
        for body in (b"one.", b"two.")
    ]
    return Load(address, questions, clients, 0.3, 0.002)


@pytest.fixture(autouse=True)
def _no_warming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "WARM_SECONDS", 0.0)


def right(number: int) -> tuple[int, bytes]:
    return 200, json.dumps(RIGHT).encode()


def test_right_answers_are_counted_and_timed_and_the_questions_take_turns() -> None:
    with server(right) as (address, bodies):
        round_result = load.run(order(address))
    assert round_result.errors == {}
    assert 0 < round_result.answers <= len(round_result.latencies) == len(bodies)
    assert round_result.rate == pytest.approx(round_result.answers / 0.3)
    assert all(0 < value < 1000 for value in round_result.latencies)
    assert abs(bodies.count(b"one.") - bodies.count(b"two.")) <= 1


def test_in_a_process_of_its_own_it_finds_the_same() -> None:
    with server(right) as (address, _):
        round_result = load.run_in_process(order(address))
    assert round_result.errors == {}
    assert round_result.answers > 0


def test_each_kind_of_error_is_counted_and_none_of_them_is_an_answer() -> None:
    wrong = {"predictions": [{"label": "3", "probability": 0.5}]}
    other = {"predictions": [{"label": "8", "probability": 0.99}]}
    bodies = [json.dumps(wrong).encode(), json.dumps(other).encode(), b"no JSON"]

    def reply(number: int) -> tuple[int, bytes]:
        return (503, b"{}") if number % 4 == 0 else (200, bodies[number % 4 - 1])

    with server(reply) as (address, sent):
        round_result = load.run(order(address))
    assert (round_result.answers, list(round_result.latencies)) == (0, [])
    assert set(round_result.errors) == {"status 503", "a wrong answer", "no prediction"}
    assert sum(round_result.errors.values()) == len(sent)


def test_an_answer_that_cannot_be_read_is_an_error_and_its_client_comes_again() -> None:
    with server(right, length=False) as (address, sent):
        round_result = load.run(order(address))
    assert set(round_result.errors) == {"a response without Content-Length"}
    assert round_result.answers == 0
    assert len(sent) > 2


def test_a_server_that_is_not_there_is_an_error_of_each_client() -> None:
    with server(right) as (address, _):
        pass
    round_result = load.run(order(address, clients=3))
    assert round_result.errors == {"no connection: Connection refused": 3}


def test_a_percentile_is_a_latency_that_was_measured() -> None:
    latencies = [float(value) for value in range(100, 0, -1)]
    assert load.percentile(latencies, 0.5) == 50
    assert load.percentile(latencies, 0.99) == 99
    assert load.percentile([7.0], 0.99) == 7
    assert load.percentile([], 0.5) == float("inf")
