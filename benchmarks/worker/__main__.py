"""Print what a request costs inside a worker, in microseconds of CPU by step, as Markdown.

What is compared is measured in turns, within one run; ratios are of what stood side by side.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.report import table, where
from benchmarks.worker import handler_process
from benchmarks.worker.protocol_overhead import Loop, logging_nowhere
from models.release import find
from scripts.command import command

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = sorted((REPOSITORY / "samples").glob("*.png"))
SIZES = (1, 8, 32)
# In one turn, so that a turn takes a fraction of a second.
REQUESTS = 128


class Handler:
    """The handler of one tree of the project, at work in a process of its own."""

    def __init__(self, tree: Path, release: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", handler_process.__file__, str(release), *map(str, SAMPLES)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.engine = self._read()["engine"]

    def __enter__(self) -> Handler:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def turn(self, size: int) -> dict[str, float]:
        """Microseconds a request by step, for batches of one size."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{size} {max(1, REQUESTS // size)}\n")
        self._process.stdin.flush()
        found = self._read()
        return found | {"everything else": found["total"] - found["decode"] - found["engine"]}

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the handler ended; what it wrote above says why")
        found: dict[str, Any] = json.loads(line)
        return found


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("--model", default="digits", help="of which there is a release (default: digits)")
    parser.add_argument("--against", metavar="REVISION", help="a git revision to compare with")
    parser.add_argument("--turns", type=int, default=15, help="of each that is compared (default: 15)")
    arguments = parser.parse_args(argv)
    if arguments.turns < 1:
        parser.error(f"--turns is {arguments.turns}: give 1 or more")
    release = find(arguments.model).folder.resolve()
    with ExitStack() as stack:
        trees = {"here": REPOSITORY}
        if arguments.against:
            trees[arguments.against] = _checked_out(
                arguments.against, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torchlight-worker-")))
            )
        handlers = {name: stack.enter_context(Handler(tree, release)) for name, tree in trees.items()}
        steps = measure_steps(handlers, arguments.turns)
        engine = handlers["here"].engine
    print(f"Microseconds of CPU a request, one thread, engine {engine}, {where()}; {arguments.turns} turns, medians.\n")
    print(steps)
    print("\nThe protocol alone, around a handler that does nothing:\n")
    print(measure_messages(arguments.turns))


def measure_steps(handlers: dict[str, Handler], turns: int) -> str:
    """The table of steps: for each batch size those of each handler, and the ratio of the totals to the first one's."""
    rows = []
    for size in SIZES:
        for handler in handlers.values():  # the first of its size
            handler.turn(size)
        taken = [{name: handler.turn(size) for name, handler in handlers.items()} for _ in range(turns)]
        for name in handlers:
            steps = ("decode", "engine", "everything else", "total")
            figures = [f"{statistics.median(turn[name][step] for turn in taken):.0f}" for step in steps]
            ratios = [turn[name]["total"] / turn["here"]["total"] for turn in taken]
            rows.append([str(size), name, *figures, f"{statistics.median(ratios):.2f}"])
    return table(["batch", "revision", "decode", "engine", "everything else", "total", "total / here"], rows)


def measure_messages(turns: int) -> str:
    """The table of the protocol: TorchServe's own functions beside handlers/torchserve_protocol.py."""
    image, rows = SAMPLES[0].read_bytes(), []
    with Loop(short=False) as stock, Loop(short=True) as short, logging_nowhere():
        for size in SIZES:
            times = max(1, 4 * REQUESTS // size)
            pairs = [
                (stock.microseconds(size, image, times), short.microseconds(size, image, times)) for _ in range(turns)
            ]
            theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            rates = (f"{1e6 / theirs:,.0f}", f"{1e6 / ours:,.0f}")
            rows.append([str(size), f"{theirs:.0f}", f"{ours:.0f}", *rates, f"{ratio:.1f}"])
    columns = ["batch", "stock, us", "wire, us", "stock, requests/s", "wire, requests/s", "stock / wire"]
    return table(columns, rows)


def _checked_out(revision: str, folder: Path) -> Path:
    """The files of a revision, in `folder`; the repository stays as it is.

    Raises:
        ValueError: git does not know it.
    """
    made = subprocess.run(["git", "archive", revision, "handlers", "models"], cwd=REPOSITORY, capture_output=True)
    if made.returncode != 0:
        raise ValueError(f"git has no revision {revision!r}: {made.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    main()
