"""No request hides in another: each gets one answer, on fresh and kept connections, with and without a token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.attacks import smuggling
from benchmarks.attacks.hostile import MARK, generate
from benchmarks.attacks.hostile_h2 import REQUESTS, send
from benchmarks.attacks.smuggling import Victim
from tests.support.server import TOKEN, Server

COUNT = 800
PREDICT = "/predictions/digits?top_k=1"


@pytest.fixture(params=["development", "token", "no token"])
def target(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str | None, dict[str, str]]]:
    """A server, the token that hostile requests bring, and the headers of a good client."""
    if request.param == "development":
        yield request.getfixturevalue("server"), None, {}
    else:
        good = {"Authorization": f"Bearer {TOKEN}"}
        yield request.getfixturevalue("production"), TOKEN if request.param == "token" else None, good


def test_each_hostile_request_gets_one_answer_and_what_it_hides_gets_none(
    target: tuple[Server, str | None, dict[str, str]], digit: dict[str, bytes]
) -> None:
    server, token, headers = target
    before = server.asked().total()
    victim = Victim(server.ports.public, PREDICT, digit["3"], headers)
    hostile = generate(COUNT, seed=21, model="digits", image=digit["7"], token=token)
    # Another address than that of the other tests: too many wrong tokens from one are answered 429.
    outcome = smuggling.run(server.ports.public, hostile, victim, source="127.0.0.2")
    victim.close()
    assert outcome.violations == []
    assert outcome.statuses.total() == COUNT
    assert [status for status in outcome.statuses if status >= 500] == []
    assert server.asked().total() - before == outcome.from_model, "a worker answered somebody who was not asked for"
    if headers and token is None:
        assert outcome.from_model == outcome.victims, "without a token no worker is reached"
    else:
        assert outcome.from_model - outcome.victims > COUNT / 20, "many of them reach a worker, or nothing was tried"


def test_each_hostile_request_of_http_2_is_refused_or_answered_once(server: Server) -> None:
    before, from_model, statuses = server.asked().total(), 0, {}
    for name, fields in REQUESTS.items():
        reply = send(server.ports.public, fields)
        assert MARK not in reply.headers.get("x-request-id", "") + reply.body.decode(), name
        from_model += "x-model-version" in reply.headers
        statuses[name] = reply.status
    assert server.asked().total() - before == from_model
    # The body is not an image, and everything else that is wrong is refused before a worker sees it.
    assert {name for name, status in statuses.items() if status == 415} == {"a good one", "a host that differs"}
    assert set(statuses.values()) <= {0, 400, 415, 417}
