"""Measure rollouts under load, and write docs/benchmarks/rollouts.md. This takes some 12 minutes.

The load is open-loop at 60 % of the capacity, and goes on from the first rollout to the last one: a shadow that
is paused and resumed, a pause, an abort, rollbacks and promotions.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.report import put, table, where
from benchmarks.rollouts import shadow_cost
from benchmarks.rollouts.scenarios import SCENARIOS, Run, run
from benchmarks.rollouts.shadow_cost import Period
from models.release import Release, find
from scripts.command import command
from serving.artifacts.store import path_of
from serving.tune import load, reference_requests
from tests.support import candidates
from tests.support.server import Server
from tests.support.server import run as run_command
from tests.support.traffic import Answer, Traffic
from torchlight_client import Client
from training.data import DATASETS

PAGE = Path("docs") / "benchmarks" / "rollouts.md"
CLIENTS, CAPACITY_SECONDS = 32, 8.0
LOAD_SHARE = 0.6
MIN_REQUESTS = 20_000
# A prediction takes about twice as long with so many passes, and its share does not overload the machine.
SLOW_PASSES = 20
VERSIONS: dict[str, Callable[[Release, Path, str], Release]] = {
    "1.2": partial(candidates.slow, passes=SLOW_PASSES),
    "1.3": candidates.failing,
    "2.0": candidates.good,
    "2.1": candidates.good,
}


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rollouts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PAGE, help=f"page to write (default: {PAGE})")
    parser.add_argument("--rate", type=float, help="requests per second (default: 60 %% of the measured capacity)")
    arguments = parser.parse_args(argv)
    page = arguments.out.resolve()
    with tempfile.TemporaryDirectory(prefix="torchlight-rollouts-") as name:
        folder = Path(name)
        _fill(folder)
        with Server(folder, "--model", "digits", "--version", "1.0") as server:
            capacity = _capacity(server)
            rate = arguments.rate or LOAD_SHARE * capacity
            periods, runs, answers = _measure(server, rate)
    text = section(runs, answers, rate, capacity) + "\n\n" + shadow_section(periods, answers)
    put(page, "rollouts", text)
    print(text)


def _fill(folder: Path) -> None:
    """Train 1.0, make the candidates from it, and archive all."""
    archived = run_command(folder, "scripts.archive")
    if archived.returncode:
        raise ValueError(f"`scripts.archive` failed: {archived.stderr[-500:]}")
    stable = find("digits", "1.0", folder / "releases")
    for version, make in VERSIONS.items():
        candidates.put(make(stable, folder / "candidates" / version, version), folder / "model_store")
    shutil.rmtree(folder / "candidates")


def _capacity(server: Server) -> float:
    """Return the right responses per second to clients that wait for each response."""
    with Client(server.url) as client:
        mar = path_of("digits", "1.0", server.workspace / "model_store")
        references = reference_requests.predict_references(client, mar, "digits", "1.0")
    address = urlsplit(server.url)
    requests = [image.request("/predictions/digits") for image in references.images]
    offered = load.Load(
        (str(address.hostname), int(address.port or 0)), requests, CLIENTS, CAPACITY_SECONDS, references.tolerance
    )
    load.run_in_process(offered)  # warms up
    return load.run_in_process(offered).answers / CAPACITY_SECONDS


def _measure(server: Server, rate: float) -> tuple[list[Period], list[Run], list[Answer]]:
    """Run the shadow and all scenarios under one load, which lasts until MIN_REQUESTS were sent."""
    images, _ = candidates.held_out(DATASETS["digits"]())
    start = time.monotonic()
    bodies = [image for image in images if isinstance(image, bytes)]
    with Traffic(f"{server.url}/predictions/digits", bodies, rate) as traffic:
        periods = shadow_cost.measure(server, "2.0")
        runs = [run(server, scenario) for scenario in SCENARIOS]
        time.sleep(max(0.0, MIN_REQUESTS / rate - (time.monotonic() - start)))
    return periods, runs, traffic.answers


def section(runs: Sequence[Run], answers: Sequence[Answer], rate: float, capacity: float) -> str:
    """Return the section of the page."""
    rows = [_row(run, answers) for run in runs]
    fast = runs[-1]
    bad = [answer for answer in answers if answer.status != 200]
    by_candidate = sum(answer.version == "1.3" for answer in bad)
    return "\n\n".join(
        [
            f"`make measure-rollouts`, {where()}.",
            f"{len(answers):,} requests at {rate:.0f}/s, {rate / capacity:.0%} of the capacity of {capacity:.0f}/s. "
            f"{len(bad) - by_candidate} failed, besides {by_candidate} images that 1.3 answers with a 500.",
            table(
                [
                    "scenario",
                    "requests",
                    "failed",
                    "answered by the candidate",
                    "p50",
                    "p99",
                    "alarm to its last answer",
                ],
                rows,
            ),
            f"Without holds, the candidate had all requests {fast.full_share(answers):.1f} s after the start. "
            f"Its workers took {fast.load_seconds():.1f} s of this to load.",
        ]
    )


def shadow_section(periods: Sequence[Period], answers: Sequence[Answer]) -> str:
    """Return what a shadow costs the predictions."""
    return "\n\n".join(
        [
            f"**With and without a shadow**, {len(periods)} periods of {shadow_cost.ROUND_SECONDS:.0f} s in turn:",
            table(
                ["latency", "without", "with a shadow", "ratio (middle half of the pairs)"],
                shadow_cost.rows(periods, answers),
            ),
        ]
    )


def _row(run: Run, answers: Sequence[Answer]) -> list[str]:
    during = run.answers(answers)
    seconds = sorted(answer.seconds for answer in during)
    last = run.last_answer(answers)
    return [
        run.scenario.name,
        f"{len(during):,}",
        f"{sum(answer.status != 200 for answer in during)}",
        f"{sum(answer.version == run.scenario.version for answer in during):,}",
        *(f"{1000 * seconds[int(share * len(seconds))]:.1f} ms" for share in (0.5, 0.99)),
        "" if last is None else f"{last:.2f} s",
    ]


if __name__ == "__main__":
    main()
