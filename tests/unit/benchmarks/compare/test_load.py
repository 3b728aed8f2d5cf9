"""Load generators count only right responses, and match responses with images."""

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
from benchmarks.compare.reference import ReferenceRequest, WrongResponse, record
from benchmarks.compare.rounds import SystemUnderTest, running_systems
from benchmarks.compare.systems import torchlight
from tests.unit.benchmarks.compare.fake_server import correct_response, image_request, serving

IMAGES = [b"0", b"1", b"2"]
NEEDS_WRK = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")


def references_of(url: str) -> list[ReferenceRequest]:
    return record(url, IMAGES, image_request, torchlight.parse_response)


# A thread with one connection sends all images; a thread with several connections sends one image.
CLIENTS = pytest.mark.parametrize("clients", [1, 3, 6])


@NEEDS_WRK
@CLIENTS
def test_wrk_matches_each_response_with_its_image(tmp_path: Path, clients: int) -> None:
    bodies = set()

    def respond(body: bytes) -> tuple[int, int]:
        bodies.add(body)
        return correct_response(body)

    with serving(correct_response) as url:
        references = references_of(url)
    with serving(respond) as url:
        load = wrk.run(url, references, clients=clients, seconds=1, folder=tmp_path)
    assert load.rate > 10
    assert load.wrong_share == 0
    assert bodies == set(IMAGES)


@NEEDS_WRK
@CLIENTS
def test_responses_to_another_image_are_wrong_even_if_each_is_known(tmp_path: Path, clients: int) -> None:
    with serving(correct_response) as url:
        references = references_of(url)
    with serving(lambda body: (200, (int(body) + 1) % 3)) as url, pytest.raises(WrongResponse, match="wrong"):
        wrk.run(url, references, clients=clients, seconds=1, folder=tmp_path)


def test_run_with_few_wrong_responses_counts_right_ones_and_many_are_an_error() -> None:
    load = wrk.parse_output("Running\nRESULT 10000 5 0 2000000 3.500 9.250\nEXAMPLE 503 busy\n", cpu_seconds=1.0)
    assert (load.rate, load.p50, load.p99, load.wrong_share) == (4997.5, 3.5, 9.25, 0.0005)
    assert (load.generator_cores, load.seconds) == (0.5, 2.0)
    with pytest.raises(WrongResponse, match="503 busy"):
        wrk.parse_output("RESULT 1000 5 0 2000000 3.5 9.2\nEXAMPLE 503 busy\n", 1.0)
    with pytest.raises(WrongResponse, match="did not finish"):
        wrk.parse_output("unable to connect", 1.0)


def test_missing_wrk_is_an_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(wrk.WrkMissing, match="apt-get install wrk"):
        wrk.check()


def test_server_that_disagrees_with_the_network_is_rejected() -> None:
    with serving(lambda _: (200, 1)) as url, pytest.raises(WrongResponse, match="1 of 3 images"):
        record(url, IMAGES, image_request, torchlight.parse_response, expected=[0, 1, 2])


def test_open_loop_latency_counts_from_the_planned_time() -> None:
    """A request takes 20 ms, and one is due every 10 ms: the 30th waits for some 300 ms, and all are counted."""
    with serving(correct_response, seconds=0.02) as url:
        load = open_loop.run(url, references_of(url), rate=100, seconds=0.3)
    assert len(load.milliseconds) == 30
    assert load.percentile(0.99) > 200
    assert load.wrong == 0


def test_refused_and_wrong_responses_have_no_latency() -> None:
    numbers = count()

    def respond(body: bytes) -> tuple[int, int]:
        return {0: (200, int(body)), 1: (503, 0), 2: (200, 9)}[next(numbers) % 3]

    with serving(correct_response) as url:
        references = references_of(url)
    with serving(respond) as url:
        load = open_loop.run(url, references, rate=60, seconds=0.5)
    assert (len(load.milliseconds), load.refused[503], load.wrong) == (10, 10, 10)


@NEEDS_WRK
@pytest.mark.slow
def test_failed_system_is_excluded_and_others_continue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "benchmarks")

    def make_system(name: str, start: object) -> SystemUnderTest:
        return SystemUnderTest(name, "default", "1", start, image_request, torchlight.parse_response)  # type: ignore[arg-type]

    def absent() -> None:
        raise ValueError("it cannot be installed: no such package")

    numbers = count()
    fading = lambda: serving(lambda body: (200 if next(numbers) < 50 else 500, int(body)))  # noqa: E731
    systems = [make_system("good", lambda: serving(correct_response)), make_system("absent", absent)]
    systems.append(make_system("fading", fading))
    with running_systems(systems, IMAGES, [0, 1, 2], tmp_path) as running:
        for system in running:
            system.measure(clients=2, seconds=1)
    measured, missing, failed = running
    assert measured.error is None
    assert len(measured.loads) == 1
    assert missing.error == "ValueError: it cannot be installed: no such package"
    assert str(failed.error).startswith("WrongResponse: ")
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:3] == [
        "starting good out of the box",
        "starting absent out of the box",
        "absent out of the box is excluded: ValueError: it cannot be installed: no such package",
    ]
    assert re.fullmatch(r"good out of the box: [\d.,]+ responses/s, median [\d.]+ ms", messages[4])
    assert messages[5].startswith("fading out of the box is excluded: WrongResponse: ")


@NEEDS_WRK
@pytest.mark.slow
def test_system_is_paused_after_it_has_drained_its_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise TorchServe's timeouts are over when it resumes, and it ends busy workers."""
    starts, ends = count(1), count(1)
    latest = [0, 0]
    pauses: list[tuple[list[int], list[int]]] = []

    def respond_slowly(body: bytes) -> tuple[int, int]:
        latest[0] = next(starts)
        time.sleep(0.1)
        latest[1] = next(ends)
        return correct_response(body)

    def pause(_: object) -> None:
        before = list(latest)
        time.sleep(0.5)
        pauses.append((before, list(latest)))

    monkeypatch.setattr(rounds, "FIRST_WARM_UP_SECONDS", 1)
    monkeypatch.setattr(rounds.processes, "pause", pause)
    systems = [
        SystemUnderTest(
            "slow", "default", "1", lambda: serving(respond_slowly), image_request, torchlight.parse_response
        )
    ]
    with running_systems(systems, IMAGES, [0, 1, 2], tmp_path) as (system,):
        system.measure(clients=8, seconds=1)
    assert system.error is None
    before, later = pauses[-1]
    assert before[0] == before[1], "no request is in progress"
    assert later == before, "and none waits"
