"""Retries: which requests are sent again, when, and which are not."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.unit.clients.python.server import HangUp, Say, Server, Silence, Trickle, elapsed, unused_port
from tests.unit.clients.python.test_requests import ONE, PNG
from torchlight_client import (
    BrokenConnection,
    InvalidResponse,
    NoServer,
    Rejected,
    ServerFailed,
    TimedOut,
    TlsFailed,
    TorchlightError,
    retry,
)

Serve = Callable[..., Server]
Connect = Callable[..., Any]

GOOD = Say(body=ONE)


def error(status: int, word: str, **headers: str) -> Say:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Say(status, {"code": status, "type": word, "message": "words"}, named)


@pytest.mark.parametrize(
    "step",
    [
        HangUp(),
        HangUp(after_bytes=20),
        HangUp(after_bytes=10_000),
        error(502, "BadGateway"),
        error(503, "Overloaded"),
        Say(502, b"<html>a load balancer's</html>"),
    ],
    ids=["hung up", "broken in the headers", "broken in the body", "502", "503", "502 without JSON"],
)
def test_safe_failures_are_retried(serve: Serve, connect: Connect, pauses: list[float], step: Any) -> None:
    server = serve(step, step, GOOD)
    assert connect(server.url).predict("pets", PNG, request_id="same").best.label == "cat"
    assert [seen.body for seen in server.seen] == [PNG] * 3
    assert [seen.headers["x-request-id"] for seen in server.seen] == ["same"] * 3
    assert len(pauses) == 2


def test_a_worker_that_died_is_asked_again_once(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    died = error(500, "WorkerDied")
    assert connect(serve(died, GOOD).url).predict("pets", PNG).best.label == "cat"
    server = serve(died, died, GOOD)
    with pytest.raises(ServerFailed, match="WorkerDied"):
        connect(server.url).predict("pets", PNG)
    assert len(server.seen) == 2, "this request may be what kills them"


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (error(400, "BadOption"), Rejected),
        (error(404, "ModelNotFound"), Rejected),
        (error(413, "ContentTooLarge"), Rejected),
        (error(429, "SlowDown", Retry_After="0"), Rejected),
        (error(500, "InferenceFailed"), ServerFailed),
        (error(504, "GatewayTimeout"), ServerFailed),
        (Say(500, b"<html>"), ServerFailed),
        (Say(200, b"[]"), InvalidResponse),
        (Silence(), TimedOut),
    ],
    ids=["400", "404", "413", "429", "500", "504", "500 without JSON", "not Torchlight", "silence"],
)
def test_permanent_failures_are_not_retried(
    serve: Serve, connect: Connect, pauses: list[float], step: Any, kind: type[TorchlightError]
) -> None:
    server = serve(step, GOOD)
    with pytest.raises(kind):
        connect(server.url, timeout=1).predict("pets", PNG)
    assert (len(server.seen), pauses) == (1, [])


def test_a_server_that_is_not_there_is_asked_again(connect: Connect, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(
        NoServer, match=f"^nothing answers at {url}: check the URL, or start the server there .`torchlight serve`.$"
    ):
        connect(url).predict("pets", PNG)
    assert len(pauses) == 2


def test_a_host_that_does_not_exist_is_no_server(connect: Connect, pauses: list[float]) -> None:
    with pytest.raises(NoServer):
        connect("http://no.such.host.invalid").predict("pets", PNG)


def test_a_server_that_comes_up_meanwhile_answers(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = unused_port()
    original = retry.Attempts.pause_after

    def start_and_pause(self: retry.Attempts, failure: TorchlightError) -> float:
        assert isinstance(failure, NoServer)
        serve(GOOD, port=port)
        return original(self, failure)

    monkeypatch.setattr(retry.Attempts, "pause_after", start_and_pause)
    assert connect(f"http://127.0.0.1:{port}").predict("pets", PNG).best.label == "cat"


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_the_number_of_retries_is_kept(serve: Serve, connect: Connect, pauses: list[float], retries: int) -> None:
    server = serve(error(503, "Overloaded"))
    with pytest.raises(ServerFailed, match=r"^503 Overloaded: words$"):
        connect(server.url, retries=retries).predict("pets", PNG)
    assert (len(server.seen), len(pauses)) == (retries + 1, retries)


def test_the_last_error_is_the_one_that_is_raised(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    server = serve(HangUp(), error(503, "Overloaded"), error(404, "ModelNotFound"))
    with pytest.raises(Rejected, match="404 ModelNotFound"):
        connect(server.url).predict("pets", PNG)


def test_every_call_has_retries_of_its_own(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    bad = error(502, "BadGateway")
    client = connect(serve(bad, bad, GOOD, bad, bad, GOOD).url)
    for _ in range(2):
        client.predict("pets", PNG)
    assert len(pauses) == 4


# ---- how long it waits


def test_retry_after_in_seconds_is_waited(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    server = serve(error(503, "Overloaded", Retry_After="7"), error(500, "WorkerDied", Retry_After="0"), GOOD)
    connect(server.url).predict("pets", PNG)
    assert pauses == [7.0, 0.0]


def test_retry_after_as_a_date_is_waited(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    connect(serve(error(503, "Overloaded", Retry_After=soon), GOOD).url).predict("pets", PNG)
    assert pauses == [pytest.approx(29, abs=2)]


def test_without_it_pauses_are_random_up_to_a_bound_that_doubles(
    serve: Serve, connect: Connect, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 4

    monkeypatch.setattr(random, "uniform", uniform)
    with pytest.raises(ServerFailed):
        connect(serve(error(503, "Overloaded")).url, retries=8).predict("pets", PNG)
    assert bounds == [(0, bound) for bound in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0)]
    assert pauses == [bound / 4 for _, bound in bounds]


def test_a_pause_beyond_the_deadline_is_not_begun(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    server = serve(error(503, "Overloaded", Retry_After="60"), GOOD)
    with pytest.raises(ServerFailed, match="503 Overloaded") as raised:
        connect(server.url, deadline=5).predict("pets", PNG)
    assert (len(server.seen), pauses, raised.value.retry_after) == (1, [], "60")


def test_pauses_are_made(serve: Serve, connect: Connect) -> None:
    client = connect(serve(error(503, "Overloaded", Retry_After="1"), GOOD).url)
    assert 1 <= elapsed(lambda: client.predict("pets", PNG)) < 5


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0),
        (" 12 ", 12),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Friday, 31-Dec-99 23:59:59 GMT", 0),
        ("Fri Dec 31 23:59:59 1999", 0),
        ("Fri, 31 Dec 1999 23:59:59 -0000", 0),
        ("Fri, 99 Dec 1999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_has_it(header: str | None, seconds: float | None) -> None:
    assert retry.after(header) == seconds


# ---- how long it takes as a whole


def test_silence_ends_at_the_timeout(serve: Serve, connect: Connect) -> None:
    server = serve(Silence())
    client = connect(server.url, timeout=0.3)
    words = f"^no response from {server.url}/predictions/pets within 0.3 s"

    def ask() -> None:
        with pytest.raises(TimedOut, match=words):
            client.predict("pets", PNG)

    assert 0.25 < elapsed(ask) < 3


@pytest.mark.parametrize("step", [Silence(), Trickle(0.05)], ids=["silence", "trickle"])
def test_the_deadline_ends_an_attempt(serve: Serve, connect: Connect, step: Any) -> None:
    client = connect(serve(step).url, timeout=60, deadline=0.4)

    def ask() -> None:
        with pytest.raises(TimedOut, match=r"within 0\.\d+ s"):
            client.predict("pets", PNG)

    assert 0.3 < elapsed(ask) < 3


def test_the_deadline_counts_all_attempts(serve: Serve, connect: Connect) -> None:
    server = serve(error(503, "Overloaded", Retry_After="1"), Silence())
    client = connect(server.url, timeout=60, deadline=2)

    def ask() -> None:
        with pytest.raises(TimedOut):
            client.predict("pets", PNG)

    assert 1.9 < elapsed(ask) < 5
    assert len(server.seen) == 2


# ---- what is mistaken for something else


def test_an_error_that_the_caller_is_handling_is_not_taken_for_ours(
    serve: Serve, connect: Connect, pauses: list[float]
) -> None:
    client = connect(serve(HangUp()).url)
    try:
        raise TimeoutError("the caller's own")
    except TimeoutError:
        with pytest.raises(BrokenConnection, match="closed the connection without a response"):
            client.predict("pets", PNG)
    assert len(pauses) == 2


def test_a_server_that_reads_nothing_times_out_and_is_not_asked_again(connect: Connect, pauses: list[float]) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client = connect(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.3)
        with pytest.raises(TimedOut):
            client.predict("pets", bytes(20_000_000))
    assert pauses == []


def test_a_server_without_tls_is_not_asked_again(serve: Serve, connect: Connect, pauses: list[float]) -> None:
    server = serve(GOOD)
    with pytest.raises(TlsFailed, match=r"^no secure connection to https://127\.0\.0\.1:\d+ .*: check that it uses"):
        connect(server.url.replace("http", "https")).predict("pets", PNG)
    assert pauses == []
