"""Train the models of docs/benchmarks/training.md with the commands that users type, and write their metrics there.

CIFAR-10 is downloaded, or read from --cifar10. All trainings take more than an hour on two cores. --only runs one of
them, and leaves the other tables of the page unchanged.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
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
    """A training: its name, flags of scripts.train without --data, and its target for the accuracy (a share)."""

    name: str
    flags: tuple[str, ...]
    min_accuracy: float


RUNS = (
    Run("article", ("--recipe", "article"), 0.71),
    Run("tuned", ("--recipe", "tuned"), 0.775),
    Run("resnet9", ("--architecture", "resnet9"), 0.88),
    Run("resnet9-6-epochs", ("--architecture", "resnet9", "--epochs", "6", "--set", "progressive.epochs=3"), 0.81),
)
# A user's own folder, with the command of the README.
FOLDER = Run("folder", ("--recipe", "small"), 0.98)


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, train, print and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cifar10", default=CIFAR10, help="folder or archive of CIFAR-10, Python version (default: download)"
    )
    parser.add_argument("--folder", help="folder of images with a sub-folder for each class, for the training `folder`")
    names = [run.name for run in (*RUNS, FOLDER)]
    parser.add_argument("--only", choices=names, action="append", help="run only this training; may be repeated")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/benchmarks/training.md"),
        help="page to write (default: docs/benchmarks/training.md)",
    )
    parser.add_argument("--keep", type=Path, help="folder to keep the releases in (default: a temporary folder)")
    arguments = parser.parse_args(argv)
    selected = arguments.only or [run.name for run in RUNS] + ([FOLDER.name] if arguments.folder else [])
    if FOLDER.name in selected and not arguments.folder:
        raise ValueError("--only folder needs --folder, a folder of images with a sub-folder for each class")
    with tempfile.TemporaryDirectory(prefix="torchlight-training-") as scratch:
        root = (arguments.keep or Path(scratch)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        for run in (*RUNS, FOLDER):
            if run.name in selected:
                data = arguments.folder if run is FOLDER else arguments.cifar10
                metrics = train(run, data if data == CIFAR10 else str(Path(data).resolve()), root)
                text = f"`make measure-training ONLY={run.name}`, {where()}.\n\n{rows(metrics, run)}"
                put(arguments.out.resolve(), f"training {run.name}", text)
                print(text)


def train(run: Run, data: str, root: Path) -> Mapping[str, Any]:
    """Train in `root`, and return the metrics.json of the release."""
    flags = ("--data", data, "--model", run.name, "--version", "1.0", "--ood-data", "digits", *run.flags)
    # The page quotes CPU seconds, which threads would also spend on waiting for each other.
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "scripts.train", *flags], cwd=root, env=environment, check=True)
    path = root / "releases" / run.name / "1.0" / "report" / "metrics.json"
    metrics: Mapping[str, Any] = documents.read_json(path)
    return metrics


def rows(metrics: Mapping[str, Any], run: Run) -> str:
    """Return the table of a training. All targets but the first are for CIFAR-10 only."""
    calibration_target, coverage_target, detection_target = (
        ("", "", "") if run is FOLDER else ("below 0.02", "within 1 point", "at least 80%")
    )
    sets, ood, referral = metrics["prediction_sets"], metrics["ood_detection"], metrics["referral"]
    after = metrics["after"]
    lines: list[tuple[str, str, str]] = [
        ("accuracy", share(metrics["right"]), f"at least {run.min_accuracy:.1%}"),
        ("training, CPU seconds", f"{metrics['cost']['cpu_seconds']:.0f}", ""),
        ("calibration error (ECE), as trained", f"{metrics['before']['ece']:.4f}", ""),
        (
            "calibration error (ECE), after temperature scaling",
            f"{after['ece']:.4f} ({after['ece_low']:.4f} to {after['ece_high']:.4f})",
            calibration_target,
        ),
        ("ECE of a perfectly calibrated model, 95 % quantile", f"{after['ece_calibrated_high']:.4f}", ""),
    ]
    if sets is None:
        lines.append(("prediction sets", f"none: {metrics['no_sets_reason']}", ""))
    else:
        target = f"coverage of the prediction sets (target {sets['target']:.1%})"
        lines.append((target, share(sets["coverage"]), coverage_target))
        lines.append(("mean size of the prediction sets", f"{sets['mean_size']:.2f}", ""))
    policy = referral["policy"]
    lines += [
        (
            f"false positive rate of OOD detection (expected {ood['target']:.0%})",
            share(ood["false_positive_rate"]),
            "",
        ),
        (f"images of {ood['ood_data']} detected as OOD by {ood['method']}", share(ood["detected"]), detection_target),
        ("AUROC of this detection", f"{ood['auroc']:.3f}", ""),
        ("referred predictions", share(policy["referred"]), ""),
        ("mistakes caught by referral", share(policy["caught"]), ""),
        ("accuracy of the accepted predictions", share(policy["accuracy"]), ""),
    ]
    return table([run.name, "measured (95 % interval)", "target"], [list(line) for line in lines])


def share(value: Mapping[str, Any] | None) -> str:
    """Return a share with its interval, in percent."""
    return "-" if value is None else f"{value['value']:.2%} ({value['low']:.1%} to {value['high']:.1%})"


if __name__ == "__main__":
    main()
