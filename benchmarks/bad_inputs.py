"""Fuzz a server under load: send seeded bad requests among good ones, and check that only the bad ones are affected.

Starts a server whose good and bad requests share batches of up to 8, and writes docs/benchmarks/bad-inputs.md. Exit
status 1 means an unexpected status, an error of another shape, a hang, or a dead worker. It also means a good response
that differs from the one without load, or workers whose memory grew by 5 % or more after the first tenth. Requests with
a violation are saved in .run/bad-inputs/.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from benchmarks import report
from scripts.command import command
from serving.runtime.instance import Instance, Ports
from serving.torchserve.management import Management
from tests.fuzz.corpus import FAMILIES, bad_requests
from tests.fuzz.under_load import BAD_PER_GOOD, GOOD, FuzzUnderLoad, Outcome, Violation, good_requests
from tests.support.server import Server, run

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = Path(".run") / "bad-inputs"
PAGE = Path("docs") / "benchmarks" / "bad-inputs.md"
BATCHES = "batchSize: 8\nmaxBatchDelay: 20\n"
WARM_UP = 0.1
MAX_GROWTH = 0.05
# -Xmx plus -XX:MaxDirectMemorySize of config.properties, and some 300 MB for Java itself.
MAX_JAVA_KILOBYTES = 2_400_000
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Processes:
    """Resident memory in kB by process id: of the workers, and of Java, their parent."""

    workers: dict[int, int]
    java: dict[int, int]

    @classmethod
    def of(cls, instance: Instance) -> Processes:
        """Return the processes that TorchServe's management API lists now."""
        management = Management.of(instance)
        workers: list[int] = []
        for name in ("digits", "digits-explain"):
            (version,) = management.describe(name)
            workers += [worker.pid for worker in version.workers]
        return cls(
            {pid: _status(pid, "VmRSS") for pid in workers},
            {pid: _status(pid, "VmRSS") for pid in {_status(pid, "PPid") for pid in workers}},
        )

    @property
    def kilobytes(self) -> tuple[int, int]:
        """Memory of all workers, and of Java."""
        return sum(self.workers.values()), sum(self.java.values())


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, fuzz the server, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bad_inputs", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="number of bad requests (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the corpus of bad requests (default: 1)")
    parser.add_argument("--clients", type=int, default=16, help="number of concurrent clients (default: 16)")
    parser.add_argument("--minutes", type=float, default=30, help="stop sending after this time (default: 30)")
    parser.add_argument("--url", help="fuzz this running server, on this machine, instead of starting one")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page to write the table into (default: {PAGE})")
    arguments = parser.parse_args(argv)
    page = arguments.page.resolve()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    start = time.monotonic()
    with _server(arguments.url) as instance:
        outcome, before, after = fuzz(instance, arguments.count, arguments.seed, arguments.clients, arguments.minutes)
    seconds = time.monotonic() - start
    problems = [*problems_of(outcome, before, after, arguments.count), *_save(outcome.violations)]
    command_line = "python -m benchmarks.bad_inputs " + shlex.join(sys.argv[1:] if argv is None else argv)
    text = section(outcome, before, after, f"By `{command_line.strip()}` {report.where()}.", seconds)
    report.put(page, "bad-inputs", text)
    print(text)
    if problems:
        sys.exit("\n".join(["error: the server broke the contract", *problems]))


def fuzz(
    instance: Instance, count: int, seed: int, clients: int, minutes: float
) -> tuple[Outcome, Processes, Processes]:
    """Return the outcome, and the idle server's processes after the warm-up and at the end."""
    images = {path.stem: path.read_bytes() for path in (REPOSITORY / "samples").glob("*.png")}
    load = FuzzUnderLoad(("127.0.0.1", instance.ports.public), good_requests(images), clients)
    bad, warm_up_count = bad_requests(count, seed), int(count * WARM_UP)
    deadline = time.monotonic() + minutes * 60
    with tqdm(total=count + count // BAD_PER_GOOD, unit="request", smoothing=0.05) as bar:
        outcome = load.run(itertools.islice(bad, warm_up_count), deadline - time.monotonic(), bar.update)
        before = _at_rest(load, instance)
        remaining = load.run(bad, deadline - time.monotonic(), bar.update)
    outcome.statuses += remaining.statuses
    outcome.violations += remaining.violations
    outcome.slowest = max(outcome.slowest, remaining.slowest)
    return outcome, before, _at_rest(load, instance)


def _at_rest(load: FuzzUnderLoad, instance: Instance) -> Processes:
    """Return the processes after good requests have replaced the last bad one in every buffer."""
    load.send_good()
    return Processes.of(instance)


def problems_of(outcome: Outcome, before: Processes, after: Processes, count: int) -> list[str]:
    """Return a sentence for each broken requirement."""
    problems = []
    bad_count = sum(times for (family, _), times in outcome.statuses.items() if family != GOOD)
    if bad_count < count:
        problems.append(f"only {bad_count:,} of {count:,} bad requests were sent within --minutes: give a larger value")
    if set(before.workers) != set(after.workers):
        problems.append(f"workers died: {sorted(before.workers)} after the warm-up, {sorted(after.workers)} at the end")
    (before_kb, _), (after_kb, java_kb) = before.kilobytes, after.kilobytes
    if before_kb and after_kb >= before_kb * (1 + MAX_GROWTH):
        problems.append(
            f"the workers' memory grew by {after_kb / before_kb - 1:.1%}, "
            f"from {before_kb // 1024} MB to {after_kb // 1024} MB"
        )
    if java_kb > MAX_JAVA_KILOBYTES:
        problems.append(f"Java holds {java_kb // 1024} MB, more than its settings allow")
    return problems


def section(outcome: Outcome, before: Processes, after: Processes, origin: str, seconds: float) -> str:
    """Return the section of the page: its origin, the result, and the statuses that each family got."""
    totals: Counter[str] = Counter()
    for (family, _), times in outcome.statuses.items():
        totals[family] += times
    statuses = sorted({status for _, status in outcome.statuses})
    families = [family.__name__ for family in FAMILIES if totals[family.__name__]]
    rows = [
        [
            family.replace("_", " "),
            str(totals[family]),
            *(str(outcome.statuses[family, status] or "") for status in statuses),
        ]
        for family in [*families, GOOD]
    ]
    memory = [
        f"{name} {old // 1024} MB, then {new // 1024} MB ({new / max(old, 1) - 1:+.1%})"
        for name, old, new in zip(("worker", "Java"), before.kilobytes, after.kilobytes, strict=True)
    ]
    bad_count = sum(totals.values()) - totals[GOOD]
    server_errors = sum(times for (_, status), times in outcome.statuses.items() if status >= 500)
    dead_workers = len(set(before.workers) - set(after.workers))
    result = (
        f"{bad_count:,} bad requests were sent among {totals[GOOD]:,} good ones in {seconds / 60:.1f} minutes. "
        f"{server_errors} got a 5xx, {len(outcome.violations)} got a wrong response, and {dead_workers} workers died. "
        f"The slowest response took {outcome.slowest:.1f} s. "
        f"Memory after the first tenth, and at the end: {'; '.join(memory)}."
    )
    columns = ["family", "requests", *(str(status) if status > 0 else "none" for status in statuses)]
    return "\n\n".join([origin, result, report.table(columns, rows)])


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[Instance]:
    """Yield a new server, which is stopped at the end, or the running server at `url`."""
    if url:
        yield Instance(Ports(urlsplit(url).port or 8080))
        return
    (FOLDER / "config.yaml").write_text(BATCHES, encoding="utf-8")
    archived = run(FOLDER, "scripts.archive", "--config", "config.yaml")
    if archived.returncode:
        raise ValueError(f"`scripts.archive` failed: {archived.stderr[-500:]}")
    with Server(FOLDER.resolve()) as server:
        yield server.instance


def _save(violations: list[Violation]) -> list[str]:
    """Save the requests of all violations, and return a description of the first few."""
    for violation in violations:
        name = f"{violation.request.family}-{violation.request.number}.http".replace(" ", "-")
        (FOLDER / name).write_bytes(violation.request.to_bytes())
    (FOLDER / "violations.txt").write_text("\n".join(map(str, violations)), encoding="utf-8")
    by_kind = {(violation.request.family, violation.request.case): str(violation) for violation in reversed(violations)}
    shown = list(reversed(by_kind.values()))[:SHOWN]
    if violations:
        shown.append(
            f"{len(violations)} violations of {len(by_kind)} kinds; see {FOLDER}/violations.txt, and the requests there"
        )
    return shown


def _status(pid: int, name: str) -> int:
    """Return a number of /proc/<pid>/status; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    main()
