"""Load from wrk: so many connections, each asking again as soon as it is answered, every answer compared.

This is closed-loop load: a server that stalls is asked less, so its tail looks better than its users would find it
(coordinated omission). Rates are right; latency under a given load is measured by `openloop`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.reference import Question, WrongAnswer, plan

SCRIPT = Path(__file__).with_name("wrk.lua")
# Of all answers, at most so many may be wrong or missing; beyond that the rate says nothing.
MOST_WRONG = 0.001


class NoGenerator(ValueError):
    """wrk is not installed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a run.

    Attributes:
        rate: right answers a second.
        p50, p99: milliseconds.
        wrong: share of the answers that were wrong or did not come.
        generator: cores that wrk itself used.
        seconds: that it took.
    """

    rate: float
    p50: float
    p99: float
    wrong: float
    generator: float
    seconds: float


def check() -> None:
    """Raises NoGenerator where there is no wrk."""
    if shutil.which("wrk") is None:
        raise NoGenerator(
            "wrk is not installed: `apt-get install wrk` on Debian and Ubuntu, `brew install wrk` on a Mac"
        )


def run(url: str, questions: Sequence[Question], clients: int, seconds: float, folder: Path) -> Load:
    """Let `clients` connections ask for so many seconds (at least 1); `folder` is for wrk's files.

    Raises:
        NoGenerator: there is no wrk.
        WrongAnswer: too many answers were wrong or did not come.
    """
    check()
    threads = _threads(clients, len(questions))
    flags = [f"-t{threads}", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command = ["wrk", *flags, "-s", str(SCRIPT), url, "--", str(plan(questions, folder)), str(clients // threads)]
    with (folder / "wrk.txt").open("w+", encoding="utf-8", errors="replace") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return read(out.read(), used.ru_utime + used.ru_stime)


def _threads(clients: int, questions: int) -> int:
    """Of wrk, as few as can tell answers apart: one a connection, or one a question, and as many connections for each.

    Each thread costs the machine that is measured: it wakes up for every answer.
    """
    return max(threads for threads in range(1, min(clients, questions) + 1) if clients % threads == 0)


def read(output: str, processor_seconds: float) -> Load:
    """Wrk's output, as wrk.lua ends it.

    Raises:
        WrongAnswer: see `run`.
    """
    found = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)$", output, re.MULTILINE)
    if found is None:
        raise WrongAnswer(f"wrk did not come to an end: {' '.join(output.split())[:200]}")
    answered, wrong, broken, microseconds = (int(found[place]) for place in range(1, 5))
    share = (wrong + broken) / max(1, answered + broken)
    if answered == 0 or share > MOST_WRONG:
        example = re.search(r"^EXAMPLE (.*)$", output, re.MULTILINE)
        raise WrongAnswer(
            f"of {answered + broken} answers {wrong} were wrong and {broken} did not come, such as: "
            f"{example[1] if example and example[1] else 'none at all'}"
        )
    seconds = microseconds / 1e6
    right = (answered - wrong) / seconds
    return Load(right, float(found[5]), float(found[6]), share, processor_seconds / seconds, seconds)
