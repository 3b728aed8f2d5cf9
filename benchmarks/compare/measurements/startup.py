"""Part `start`: time from the command to the first response, by step, and from registering a version to READY."""

from __future__ import annotations

import datetime
import logging
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

import requests

from benchmarks.compare import workload
from benchmarks.compare.results import PartFigures, Spread
from benchmarks.compare.run_config import RunConfig
from benchmarks.compare.systems import torchlight
from benchmarks.report import table

logger = logging.getLogger(__name__)

# Each step ends with the first line of the server's log that matches.
STEPS = (
    ("the command, Java, unpacking the archive", r"Metrics API bind to"),
    ("the worker's Python, with torch", r"MODEL_LOG - Torch worker started"),
    ("the handler, the network, its program", r"MODEL_LOG - .*engine \S+ answers"),
)
LAST_STEP = "golden answers, warm-up, the other workers, the proxy, the response"
TIMESTAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3}) ")


class StartTimes(NamedTuple):
    """Seconds of one start: to the first response, by step of it, and from registering a version to READY."""

    first_response: float
    steps: Mapping[str, float]
    registration: float


class Startup(PartFigures):
    """Seconds by workload: from the command to the first response, by step of it, and of a registration to READY."""

    first_response: dict[str, Spread]
    steps: dict[str, dict[str, Spread]]
    registration: dict[str, Spread]

    def markdown(self) -> str:
        """Return a table with a column per workload."""
        names = list(self.first_response)
        rows = [["from the command to the first response", *(self.first_response[name].text("s") for name in names)]]
        for step in self.steps[names[0]]:
            rows.append([f"part of this: {step}", *(self.steps[name][step].text("s") for name in names)])
        rows.append(["from registering a version to READY", *(self.registration[name].text("s") for name in names)])
        return table(["", *(f"`{name}`" for name in names)], rows)


def measure(config: RunConfig) -> Startup:
    """Measure starts with the digits, and with the photos if there are any. The files are in the page cache."""
    works = [workload.digits(config)] + ([workload.photos(config)] if config.photos else [])
    first_response, steps, registration = {}, {}, {}
    for work in works:
        starts = []
        for number in range(1, config.rounds + 1):
            times = _start(work, config.port)
            starts.append(times)
            logger.info(
                "%s, round %d of %d: first response after %.1f s, another version READY after %.1f s",
                *(work.name, number, config.rounds, times.first_response, times.registration),
            )
        first_response[work.name] = Spread.of(times.first_response for times in starts)
        steps[work.name] = {name: Spread.of(times.steps[name] for times in starts) for name in starts[0].steps}
        registration[work.name] = Spread.of(times.registration for times in starts)
    return Startup(first_response=first_response, steps=steps, registration=registration)


def _start(work: workload.Workload, port: int) -> StartTimes:
    start = time.time()
    with torchlight.serve(work, port) as url:
        post = torchlight.image_request(work)(work.images[0])
        requests.post(url + post.path, data=post.body, headers=post.headers, timeout=60).raise_for_status()
        end = time.time()
        log = (work.home / f"serve-{port}.log").read_text(encoding="utf-8", errors="replace")
        registration_start = time.monotonic()
        with torchlight.extra_version(work, torchlight.management(work, port)):
            return StartTimes(end - start, step_seconds(log, start, end), time.monotonic() - registration_start)


def step_seconds(log: str, start: float, end: float) -> dict[str, float]:
    """Return the seconds of each step between two moments (Unix time), by the timestamps of the server's log.

    Raises:
        ValueError: the log lacks the line that ends a step.
    """
    seconds, previous = {}, start
    lines = [(match, line) for line in log.splitlines() if (match := TIMESTAMP.match(line))]
    for name, pattern in STEPS:
        moment = next((_unix_time(match) for match, line in lines if re.search(pattern, line)), None)
        if moment is None:
            raise ValueError(f"the server's log has no line that matches {pattern!r}; adapt STEPS in startup.py")
        seconds[name], previous = moment - previous, moment
    return {**seconds, LAST_STEP: end - previous}


def _unix_time(match: re.Match[str]) -> float:
    return datetime.datetime.fromisoformat(match[1]).timestamp() + int(match[2]) / 1000
