"""start: how long it takes from nothing to an answer, from a registration to READY, and what that is made of."""

from __future__ import annotations

import datetime
import logging
import re
import time
from collections.abc import Mapping

import requests

from benchmarks.compare import workload
from benchmarks.compare.results import Figures, Spread
from benchmarks.compare.run_config import Setting
from benchmarks.compare.systems import torchlight
from benchmarks.report import table

logger = logging.getLogger(__name__)

# What has been done when a line of the server's log is written; the first line that fits counts.
STEPS = (
    ("the command, Java, unpacking the archive", r"Metrics API bind to"),
    ("the worker's Python, with torch", r"MODEL_LOG - Torch worker started"),
    ("the handler, the network, its program", r"MODEL_LOG - .*engine \S+ answers"),
)
LAST = "golden answers, warm-up, the other workers, the proxy, the response"
STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3}) ")


class Start(Figures):
    """Seconds, by workload: `first` from the command to the first answer, `steps` of it, `registered` to READY."""

    first: dict[str, Spread]
    steps: dict[str, dict[str, Spread]]
    registered: dict[str, Spread]

    def page(self) -> str:
        """A column a workload."""
        names = list(self.first)
        rows = [["from the command to the first response", *(self.first[name].text("s") for name in names)]]
        for step in self.steps[names[0]]:
            rows.append([f"part of this: {step}", *(self.steps[name][step].text("s") for name in names)])
        rows.append(["from registering a version to READY", *(self.registered[name].text("s") for name in names)])
        return table(["", *(f"`{name}`" for name in names)], rows)


def measure(setting: Setting) -> Start:
    """Of the digits, and of the photos where there are some; the files are in the page cache."""
    works = [workload.digits(setting)] + ([workload.photos(setting)] if setting.photos else [])
    first, steps, registered = {}, {}, {}
    for work in works:
        runs = []
        for number in range(1, setting.rounds + 1):
            runs.append(_start(work, setting.port))
            told = (work.name, number, setting.rounds, runs[-1][0], runs[-1][2])
            logger.info("%s, round %d of %d: first answer after %.1f s, another version READY after %.1f s", *told)
        first[work.name] = Spread.of(run[0] for run in runs)
        steps[work.name] = {name: Spread.of(run[1][name] for run in runs) for name in runs[0][1]}
        registered[work.name] = Spread.of(run[2] for run in runs)
    return Start(first=first, steps=steps, registered=registered)


def _start(work: workload.Workload, port: int) -> tuple[float, Mapping[str, float], float]:
    began = time.time()
    with torchlight.serve(work, port) as url:
        asked = torchlight.request(work)(work.images[0])
        requests.post(url + asked.path, data=asked.body, headers=asked.headers, timeout=60).raise_for_status()
        ended = time.time()
        log = (work.home / f"serve-{port}.log").read_text(encoding="utf-8", errors="replace")
        registered = time.monotonic()
        with torchlight.again(work, torchlight.management(work, port)):
            return ended - began, parts(log, began, ended), time.monotonic() - registered


def parts(log: str, began: float, ended: float) -> dict[str, float]:
    """Seconds of each step between two moments (Unix time), by the log's own clock, which is this machine's.

    Raises:
        ValueError: the log lacks the line that ends a step.
    """
    found, before = {}, began
    lines = [(match, line) for line in log.splitlines() if (match := STAMP.match(line))]
    for name, pattern in STEPS:
        at = next((_moment(match) for match, line in lines if re.search(pattern, line)), None)
        if at is None:
            raise ValueError(
                f"the server's log has no line like {pattern!r}: it is written otherwise now; see startup.py"
            )
        found[name], before = at - before, at
    return {**found, LAST: ended - before}


def _moment(match: re.Match[str]) -> float:
    return datetime.datetime.fromisoformat(match[1]).timestamp() + int(match[2]) / 1000
