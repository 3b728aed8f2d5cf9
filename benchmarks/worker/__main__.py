"""Print the CPU time of a request inside a worker, in microseconds by step, as Markdown.

Revisions are measured in interleaved rounds of one run. Ratios are of measurements in the same round.
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
from benchmarks.worker.protocol_overhead import Loop, discarded_logs
from models.release import find
from scripts.command import command

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = sorted((REPOSITORY / "samples").glob("*.png"))
SIZES = (1, 8, 32)
# Requests of a round, which then takes a fraction of a second.
REQUESTS = 128


class Handler:
    """The handler of a revision of the project, in a process of its own."""

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

    def measure(self, size: int) -> dict[str, float]:
        """Return microseconds per request by step, for batches of one size."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{size} {max(1, REQUESTS // size)}\n")
        self._process.stdin.flush()
        microseconds = self._read()
        return microseconds | {
            "everything else": microseconds["total"] - microseconds["decode"] - microseconds["engine"]
        }

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError("the handler ended; its output above has the reason")
        message: dict[str, Any] = json.loads(line)
        return message


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("--model", default="digits", help="name of a model with a release (default: digits)")
    parser.add_argument("--against", metavar="REVISION", help="git revision to compare with")
    parser.add_argument("--rounds", type=int, default=15, help="number of interleaved rounds (default: 15)")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}; it must be at least 1")
    release = find(arguments.model).folder.resolve()
    with ExitStack() as stack:
        trees = {"here": REPOSITORY}
        if arguments.against:
            trees[arguments.against] = _extract(
                arguments.against, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torchlight-worker-")))
            )
        handlers = {name: stack.enter_context(Handler(tree, release)) for name, tree in trees.items()}
        steps = measure_steps(handlers, arguments.rounds)
        engine = handlers["here"].engine
    print(
        f"CPU microseconds per request, one thread, engine {engine}, {where()}; medians of {arguments.rounds} rounds.\n"
    )
    print(steps)
    print("\nThe worker protocol with an empty handler:\n")
    print(measure_messages(arguments.rounds))


def measure_steps(handlers: dict[str, Handler], rounds: int) -> str:
    """Return the table of steps: a row for each batch size and handler, with the ratio of its total to `here`."""
    rows = []
    for size in SIZES:
        for handler in handlers.values():  # warm-up for this batch size
            handler.measure(size)
        results = [{name: handler.measure(size) for name, handler in handlers.items()} for _ in range(rounds)]
        for name in handlers:
            steps = ("decode", "engine", "everything else", "total")
            figures = [f"{statistics.median(result[name][step] for result in results):.0f}" for step in steps]
            ratios = [result[name]["total"] / result["here"]["total"] for result in results]
            rows.append([str(size), name, *figures, f"{statistics.median(ratios):.2f}"])
    return table(["batch", "revision", "decode", "engine", "everything else", "total", "total / here"], rows)


def measure_messages(rounds: int) -> str:
    """Return the table of the protocol: TorchServe's own functions and handlers/torchserve_protocol.py."""
    image, rows = SAMPLES[0].read_bytes(), []
    with Loop(torchlight=False) as stock, Loop(torchlight=True) as torchlight, discarded_logs():
        for size in SIZES:
            batches = max(1, 4 * REQUESTS // size)
            pairs = [
                (stock.microseconds(size, image, batches), torchlight.microseconds(size, image, batches))
                for _ in range(rounds)
            ]
            stock_us, torchlight_us = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            rates = (f"{1e6 / stock_us:,.0f}", f"{1e6 / torchlight_us:,.0f}")
            rows.append([str(size), f"{stock_us:.0f}", f"{torchlight_us:.0f}", *rates, f"{ratio:.1f}"])
    columns = [
        "batch",
        "stock, us",
        "Torchlight, us",
        "stock, requests/s",
        "Torchlight, requests/s",
        "stock / Torchlight",
    ]
    return table(columns, rows)


def _extract(revision: str, folder: Path) -> Path:
    """Extract the handler of a revision into `folder`. The repository does not change.

    Raises:
        ValueError: git does not know the revision.
    """
    archived = subprocess.run(["git", "archive", revision, "handlers", "models"], cwd=REPOSITORY, capture_output=True)
    if archived.returncode != 0:
        raise ValueError(f"git has no revision {revision!r}: {archived.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    main()
