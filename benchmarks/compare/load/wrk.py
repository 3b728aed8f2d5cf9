"""Closed-loop load from wrk: each connection sends a request when it has the last response, and checks every response.

A server that stalls gets fewer requests, so its tail latency looks better than its users would see it (coordinated
omission). Rates are right. `open_loop` measures latency under an offered load.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.reference import ReferenceRequest, WrongResponse, write_plan

SCRIPT = Path(__file__).with_name("wrk.lua")
# Limit for the share of wrong and missing responses. Beyond it, the rate is meaningless.
MAX_WRONG_SHARE = 0.001


class WrkMissing(ValueError):
    """wrk is not installed."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Result of a run.

    Attributes:
        rate: right responses per second.
        p50, p99: latency in milliseconds.
        wrong_share: share of responses that were wrong or missing.
        generator_cores: CPU cores that wrk itself used.
        seconds: length of the run.
    """

    rate: float
    p50: float
    p99: float
    wrong_share: float
    generator_cores: float
    seconds: float


def check() -> None:
    """Raise WrkMissing if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise WrkMissing(
            "wrk is not installed: `apt-get install wrk` on Debian and Ubuntu, `brew install wrk` on a Mac"
        )


def run(url: str, references: Sequence[ReferenceRequest], clients: int, seconds: float, folder: Path) -> LoadResult:
    """Send requests over `clients` connections for some seconds (at least 1). `folder` is for wrk's files.

    Raises:
        WrkMissing: wrk is not installed.
        WrongResponse: too many responses were wrong or missing.
    """
    check()
    threads = _threads(clients, len(references))
    flags = [f"-t{threads}", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    plan = write_plan(references, folder)
    command = ["wrk", *flags, "-s", str(SCRIPT), url, "--", str(plan), str(clients // threads)]
    with (folder / "wrk.txt").open("w+", encoding="utf-8", errors="replace") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return parse_output(output.read(), usage.ru_utime + usage.ru_stime)


def _threads(clients: int, references: int) -> int:
    """Return the number of wrk's threads: one per connection, or else one per image with equal connections for each.

    wrk.lua can match responses with images in both cases. Each thread costs CPU: it wakes up for every response.
    """
    return max(threads for threads in range(1, min(clients, references) + 1) if clients % threads == 0)


def parse_output(output: str, cpu_seconds: float) -> LoadResult:
    """Parse the output of wrk with wrk.lua.

    Raises:
        WrongResponse: see `run`.
    """
    result = re.search(r"^RESULT (\d+) (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)$", output, re.MULTILINE)
    if result is None:
        raise WrongResponse(f"wrk did not finish: {' '.join(output.split())[:200]}")
    received, wrong, missing, microseconds = (int(result[group]) for group in range(1, 5))
    wrong_share = (wrong + missing) / max(1, received + missing)
    if received == 0 or wrong_share > MAX_WRONG_SHARE:
        example = re.search(r"^EXAMPLE (.*)$", output, re.MULTILINE)
        raise WrongResponse(
            f"{wrong} of {received + missing} responses were wrong, and {missing} were missing; for example: "
            f"{example[1] if example and example[1] else 'none was received'}"
        )
    seconds = microseconds / 1e6
    rate = (received - wrong) / seconds
    return LoadResult(rate, float(result[5]), float(result[6]), wrong_share, cpu_seconds / seconds, seconds)
