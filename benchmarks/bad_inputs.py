"""Besiege a server with seeded bad requests among good ones, and check that only the bad ones feel it.

Starts a server of its own whose good and bad requests share batches of up to 8, and writes docs/reliability.md. Exit
status 1: a 5xx, an unexpected status, an error of another shape, a hang, a dead worker, a neighbour that was answered
otherwise than alone, or a worker whose memory grew by 5 % or more after the first tenth. What offended is left, as it
was sent, in .run/bad-inputs/.
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
from tests.fuzz.under_load import BAD_FOR_ONE_GOOD, GOOD, Offence, Outcome, Siege, good_requests
from tests.integration.server import Server, run

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = Path(".run") / "bad-inputs"
BATCHES = "batchSize: 8\nmaxBatchDelay: 20\n"
WARM_UP = 0.1
MOST_GROWTH = 0.05
# Java takes what -Xmx and -XX:MaxDirectMemorySize in config.properties give it, and some 300 MB for itself.
MOST_JAVA_KILOBYTES = 2_400_000
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Processes:
    """The workers and their parent, Java, by process id with the kB that each holds in memory."""

    workers: dict[int, int]
    java: dict[int, int]

    @classmethod
    def of(cls, instance: Instance) -> Processes:
        """As TorchServe's management API tells it now."""
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
        """Held by the workers, and by Java."""
        return sum(self.workers.values()), sum(self.java.values())


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, besiege, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bad_inputs", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many bad requests (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="of the corpus (default: 1)")
    parser.add_argument("--clients", type=int, default=16, help="how many send at once (default: 16)")
    parser.add_argument("--minutes", type=float, default=30, help="send no more after this long (default: 30)")
    parser.add_argument("--url", help="a server that runs on this machine, instead of one that is started")
    parser.add_argument("--page", type=Path, default=Path("docs/reliability.md"), help="file to write the table into")
    arguments = parser.parse_args(argv)
    page = arguments.page.resolve()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    began = time.monotonic()
    with _server(arguments.url) as instance:
        outcome, before, after = besiege(
            instance, arguments.count, arguments.seed, arguments.clients, arguments.minutes
        )
    seconds = time.monotonic() - began
    wrong = [*verdict(outcome, before, after, arguments.count), *_keep(outcome.offences)]
    said = "python -m benchmarks.bad_inputs " + shlex.join(sys.argv[1:] if argv is None else argv)
    text = written(outcome, before, after, f"By `{said.strip()}` {report.where()}.", seconds)
    report.put(page, "bad-inputs", text)
    print(text)
    if wrong:
        sys.exit("\n".join(["error: the server was not equal to it", *wrong]))


def besiege(
    instance: Instance, count: int, seed: int, clients: int, minutes: float
) -> tuple[Outcome, Processes, Processes]:
    """The outcome, and the server's processes after the warm-up and at the end, both times at rest."""
    images = {path.stem: path.read_bytes() for path in (REPOSITORY / "samples").glob("*.png")}
    siege = Siege(("127.0.0.1", instance.ports.public), good_requests(images), clients)
    bad, warm = bad_requests(count, seed), int(count * WARM_UP)
    deadline = time.monotonic() + minutes * 60
    with tqdm(total=count + count // BAD_FOR_ONE_GOOD, unit="request", smoothing=0.05) as bar:
        outcome = siege.lay(itertools.islice(bad, warm), deadline - time.monotonic(), bar.update)
        before = _at_rest(siege, instance)
        rest = siege.lay(bad, deadline - time.monotonic(), bar.update)
    outcome.statuses += rest.statuses
    outcome.offences += rest.offences
    outcome.slowest = max(outcome.slowest, rest.slowest)
    return outcome, before, _at_rest(siege, instance)


def _at_rest(siege: Siege, instance: Instance) -> Processes:
    """The processes when nothing is left of the last bad request, be it only as the content of a buffer."""
    siege.ask_alone()
    return Processes.of(instance)


def verdict(outcome: Outcome, before: Processes, after: Processes, count: int) -> list[str]:
    """Sentences on what must not be."""
    wrong = []
    bad = sum(times for (family, _), times in outcome.statuses.items() if family != GOOD)
    if bad < count:
        wrong.append(f"only {bad:,} of {count:,} bad requests were sent in time: give it more --minutes")
    if set(before.workers) != set(after.workers):
        wrong.append(f"workers died: {sorted(before.workers)} after the warm-up, {sorted(after.workers)} at the end")
    (old, _), (new, java) = before.kilobytes, after.kilobytes
    if old and new >= old * (1 + MOST_GROWTH):
        wrong.append(f"the workers grew by {new / old - 1:.1%}, from {old // 1024} MB to {new // 1024} MB")
    if java > MOST_JAVA_KILOBYTES:
        wrong.append(f"Java holds {java // 1024} MB, more than its settings give it")
    return wrong


def written(outcome: Outcome, before: Processes, after: Processes, how: str, seconds: float) -> str:
    """The section of the page: how, what came of it, and what each family was answered."""
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
    growth = [
        f"{name} {old // 1024} MB, then {new // 1024} MB ({new / max(old, 1) - 1:+.1%})"
        for name, old, new in zip(("worker", "Java"), before.kilobytes, after.kilobytes, strict=True)
    ]
    bad = sum(totals.values()) - totals[GOOD]
    failed = sum(times for (_, status), times in outcome.statuses.items() if status >= 500)
    dead = len(set(before.workers) - set(after.workers))
    result = (
        f"{bad:,} bad requests were sent among {totals[GOOD]:,} good ones in {seconds / 60:.1f} minutes. "
        f"{failed} got a 5xx, {len(outcome.offences)} got a wrong response, and {dead} workers died. "
        f"The slowest response took {outcome.slowest:.1f} s. "
        f"Memory after the first tenth, and at the end: {'; '.join(growth)}."
    )
    columns = ["family", "requests", *(str(status) if status > 0 else "none" for status in statuses)]
    return "\n\n".join([how, result, report.table(columns, rows)])


@contextlib.contextmanager
def _server(url: str | None) -> Iterator[Instance]:
    """A server that is ended, or the one that runs there already."""
    if url:
        yield Instance(Ports(urlsplit(url).port or 8080))
        return
    (FOLDER / "config.yaml").write_text(BATCHES, encoding="utf-8")
    done = run(FOLDER, "scripts.archive", "--config", "config.yaml")
    if done.returncode:
        raise ValueError(f"no archive could be made: {done.stderr[-500:]}")
    with Server(FOLDER.resolve()) as server:
        yield server.instance


def _keep(offences: list[Offence]) -> list[str]:
    """Save what was sent, and say of the first few what was wrong."""
    for offence in offences:
        name = f"{offence.request.family}-{offence.request.number}.http".replace(" ", "-")
        (FOLDER / name).write_bytes(offence.request.wire())
    (FOLDER / "offences.txt").write_text("\n".join(map(str, offences)), encoding="utf-8")
    first = {(offence.request.family, offence.request.case): str(offence) for offence in reversed(offences)}
    shown = list(reversed(first.values()))[:SHOWN]
    if offences:
        shown.append(
            f"{len(offences)} in all, of {len(first)} kinds: {FOLDER}/offences.txt, and what was sent beside it"
        )
    return shown


def _status(pid: int, name: str) -> int:
    """A number of /proc/<pid>/status; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    main()
