"""Load generators count right answers alone, and tell whose answer is whose."""

from __future__ import annotations

import logging
import re
import shutil
import time
from itertools import count
from pathlib import Path

import pytest

from benchmarks.compare import rounds
from benchmarks.compare.load import open_loop, wrk
from benchmarks.compare.reference import Question, WrongAnswer, ask
from benchmarks.compare.rounds import Contestant, field_of
from benchmarks.compare.systems import torchlight
from tests.unit.benchmarks.compare.fake_server import request, right, serving

IMAGES = [b"0", b"1", b"2"]
NEEDS_WRK = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")


def questions(url: str) -> list[Question]:
    return ask(url, IMAGES, request, torchlight.answer)


# With as many threads of wrk as connections each asks about all images; with more connections than that, about one.
CLIENTS = pytest.mark.parametrize("clients", [1, 3, 6])


@NEEDS_WRK
@CLIENTS
def test_wrk_matches_each_answer_with_its_image(tmp_path: Path, clients: int) -> None:
    bodies = set()

    def noted(body: bytes) -> tuple[int, int]:
        bodies.add(body)
        return right(body)

    with serving(right) as url:
        asked = questions(url)
    with serving(noted) as url:
        load = wrk.run(url, asked, clients=clients, seconds=1, folder=tmp_path)
    assert load.rate > 10
    assert load.wrong == 0
    assert bodies == set(IMAGES)


@NEEDS_WRK
@CLIENTS
def test_answers_that_went_to_another_image_are_wrong_though_all_of_them_are_known(
    tmp_path: Path, clients: int
) -> None:
    with serving(right) as url:
        asked = questions(url)
    with serving(lambda body: (200, (int(body) + 1) % 3)) as url, pytest.raises(WrongAnswer, match="wrong"):
        wrk.run(url, asked, clients=clients, seconds=1, folder=tmp_path)


def test_a_run_with_a_few_wrong_answers_counts_the_right_ones_and_one_with_many_is_refused() -> None:
    load = wrk.read("Running\nRESULT 10000 5 0 2000000 3.500 9.250\nEXAMPLE 503 busy\n", processor_seconds=1.0)
    assert (load.rate, load.p50, load.p99, load.wrong) == (4997.5, 3.5, 9.25, 0.0005)
    assert (load.generator, load.seconds) == (0.5, 2.0)
    with pytest.raises(WrongAnswer, match="503 busy"):
        wrk.read("RESULT 1000 5 0 2000000 3.5 9.2\nEXAMPLE 503 busy\n", 1.0)
    with pytest.raises(WrongAnswer, match="did not come to an end"):
        wrk.read("unable to connect", 1.0)


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(wrk.NoGenerator, match="apt-get install wrk"):
        wrk.check()


def test_a_server_that_disagrees_with_the_network_is_not_measured() -> None:
    with serving(lambda _: (200, 1)) as url, pytest.raises(WrongAnswer, match="1 of 3 images"):
        ask(url, IMAGES, request, torchlight.answer, expected=[0, 1, 2])


def test_open_loop_latency_counts_from_when_the_request_was_due() -> None:
    """20 ms each, one at a time, offered every 10 ms: the 30th waits for some 300 ms, and no request is left out."""
    with serving(right, seconds=0.02) as url:
        found = open_loop.offer(url, questions(url), rate=100, seconds=0.3)
    assert len(found.milliseconds) == 30
    assert found.percentile(0.99) > 200
    assert found.wrong == 0


def test_refusals_and_wrong_answers_are_no_latencies() -> None:
    numbers = count()

    def third(body: bytes) -> tuple[int, int]:
        return {0: (200, int(body)), 1: (503, 0), 2: (200, 9)}[next(numbers) % 3]

    with serving(right) as url:
        asked = questions(url)
    with serving(third) as url:
        found = open_loop.offer(url, asked, rate=60, seconds=0.5)
    assert (len(found.milliseconds), found.refused[503], found.wrong) == (10, 10, 10)


@NEEDS_WRK
def test_a_contestant_that_fails_stands_in_its_row_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "benchmarks")

    def contestant(name: str, start: object) -> Contestant:
        return Contestant(name, "box", "1", start, request, torchlight.answer)  # type: ignore[arg-type]

    def absent() -> None:
        raise ValueError("it cannot be installed: no such package")

    numbers = count()
    fading = lambda: serving(lambda body: (200 if next(numbers) < 50 else 500, int(body)))  # noqa: E731
    field = [contestant("good", lambda: serving(right)), contestant("absent", absent), contestant("fading", fading)]
    with field_of(field, IMAGES, [0, 1, 2], tmp_path) as servers:
        for server in servers:
            server.turn(clients=2, seconds=1)
    good, gone, faded = servers
    assert good.error is None
    assert len(good.loads) == 1
    assert gone.error == "ValueError: it cannot be installed: no such package"
    assert str(faded.error).startswith("WrongAnswer: ")
    said = [record.getMessage() for record in caplog.records]
    assert said[:3] == [
        "starting good out of the box",
        "starting absent out of the box",
        "absent out of the box is out: ValueError: it cannot be installed: no such package",
    ]
    assert re.fullmatch(r"good out of the box: [\d.,]+ answers a second, median [\d.]+ ms", said[4])
    assert said[5].startswith("fading out of the box is out: WrongAnswer: ")


@NEEDS_WRK
def test_a_server_is_halted_only_when_it_has_answered_what_the_load_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its timeouts are over when it goes on, and TorchServe ends workers that were busy."""
    begun, ended = count(1), count(1)
    answered = [0, 0]
    halted: list[tuple[list[int], list[int]]] = []

    def slow(body: bytes) -> tuple[int, int]:
        answered[0] = next(begun)
        time.sleep(0.1)
        answered[1] = next(ended)
        return right(body)

    def halt(_: object) -> None:
        before = list(answered)
        time.sleep(0.5)
        halted.append((before, list(answered)))

    monkeypatch.setattr(rounds, "FIRST_WARM_SECONDS", 1)
    monkeypatch.setattr(rounds.processes, "halt", halt)
    field = [Contestant("slow", "box", "1", lambda: serving(slow), request, torchlight.answer)]
    with field_of(field, IMAGES, [0, 1, 2], tmp_path) as (server,):
        server.turn(clients=8, seconds=1)
    assert server.error is None
    before, later = halted[-1]
    assert before[0] == before[1], "nothing is in the middle of being answered"
    assert later == before, "nor waits to be"
