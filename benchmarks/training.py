"""Train what the documents quote, each by the command that a user would type, and write what came of it as a table.

CIFAR-10 is fetched where there is internet, or read from --cifar10. Everything together takes more than an hour of two
cores; --only does a part, and leaves the rest of the page as it is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import put, table, where
from models import documents
from scripts.command import command

REPOSITORY = Path(__file__).resolve().parent.parent
CIFAR10 = "cifar10"


@dataclass(frozen=True, slots=True)
class Run:
    """One training: its name, flags of scripts.train beside --data, and what its accuracy must reach, as a share."""

    name: str
    flags: tuple[str, ...]
    least: float


RUNS = (
    Run("article", ("--recipe", "article"), 0.71),
    Run("tuned", ("--recipe", "tuned"), 0.775),
    Run("resnet9", ("--architecture", "resnet9"), 0.88),
    Run("resnet9-6-epochs", ("--architecture", "resnet9", "--epochs", "6", "--set", "progressive.epochs=3"), 0.81),
)
# A user's folder, by the one command of the README.
FOLDER = Run("folder", ("--recipe", "small"), 0.98)


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, train, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", default=CIFAR10, help="folder or archive in its python layout (default: fetched)")
    parser.add_argument("--folder", help="a folder of images with a sub-folder for each class, to train on")
    names = [run.name for run in (*RUNS, FOLDER)]
    parser.add_argument("--only", choices=names, action="append", help="this one alone; may be given several times")
    parser.add_argument("--out", type=Path, default=Path("docs/training.md"), help="page to write into")
    parser.add_argument("--keep", type=Path, help="folder to leave the releases in (default: nowhere)")
    arguments = parser.parse_args(argv)
    wanted = arguments.only or [run.name for run in RUNS] + ([FOLDER.name] if arguments.folder else [])
    if FOLDER.name in wanted and not arguments.folder:
        raise ValueError("--only folder needs --folder, a folder of images to train on")
    with tempfile.TemporaryDirectory(prefix="torchlight-training-") as scratch:
        root = (arguments.keep or Path(scratch)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        for run in (*RUNS, FOLDER):
            if run.name in wanted:
                data = arguments.folder if run is FOLDER else arguments.cifar10
                found = train(run, data if data == CIFAR10 else str(Path(data).resolve()), root)
                text = f"`make measure-training ONLY={run.name}`, {where()}.\n\n{rows(found, run)}"
                put(arguments.out.resolve(), f"training {run.name}", text)
                print(text)


def train(run: Run, data: str, root: Path) -> Mapping[str, Any]:
    """Train in `root` and return what the release's metrics.json says."""
    flags = ("--data", data, "--model", run.name, "--version", "1.0", *run.flags)
    # CPU seconds are what is quoted, and several threads wait for each other in some of them.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "scripts.train", *flags], cwd=root, env=environment, check=True)
    path = root / "releases" / run.name / "1.0" / "report" / "metrics.json"
    metrics: Mapping[str, Any] = documents.read_json(path)
    return metrics


def rows(metrics: Mapping[str, Any], run: Run) -> str:
    """The table of one training; marks stand beside what they are for, all but the first for CIFAR-10 alone."""
    calibrated, covered, told = ("", "", "") if run is FOLDER else ("below 0.02", "within 1 point", "at least 80%")
    sets, strange, decisions = metrics["sets"], metrics["strangeness"], metrics["decisions"]
    lines: Sequence[tuple[str, str, str]] = (
        ("accuracy", share(metrics["right"]), f"at least {run.least:.1%}"),
        ("training, CPU seconds", f"{metrics['cost']['cpu_seconds']:.0f}", ""),
        ("calibration error (ECE), as trained", f"{metrics['before']['ece']:.4f}", ""),
        ("calibration error (ECE), after temperature scaling", f"{metrics['after']['ece']:.4f}", calibrated),
        (f"coverage of the prediction sets (target {sets['target']:.0%})", share(sets["coverage"]), covered),
        ("mean size of the prediction sets", f"{sets['mean_size']:.2f}", ""),
        (
            f"false positive rate of OOD detection (expected {strange['expected']:.0%})",
            share(strange["false_alarms"]),
            "",
        ),
        (f"images of {strange['unlike']} detected as OOD by {strange['method']}", share(strange["caught"]), told),
        ("AUROC of this detection", f"{strange['auroc']:.3f}", ""),
        ("accepted predictions", share(decisions["accepted"]), ""),
        ("accuracy of the accepted predictions", share(decisions["accuracy"]), ""),
    )
    return table([run.name, "measured (95 % interval)", "target"], [list(line) for line in lines])


def share(value: Mapping[str, Any] | None) -> str:
    """A share with its interval, in percent."""
    return "-" if value is None else f"{value['value']:.2%} ({value['low']:.1%} to {value['high']:.1%})"


if __name__ == "__main__":
    main()
