"""Compile a release's network to engines/*.pt2, and admit each program that is faster and keeps its accuracy."""

from __future__ import annotations

import argparse
import os
import platform

from handlers.engines import EAGER
from models.card import EngineQuality
from models.release import REPORT, Release, find
from scripts.command import command
from scripts.evaluation.evaluate import own_data
from training import compile as compilation
from training import data
from training.compile import Optimized, page
from training.compile.candidates import FORMATS
from training.compile.programs.cpu_level import LEVELS
from training.data.left_out import capped


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and compile."""
    parser = argparse.ArgumentParser(prog="python -m scripts.optimize", description=__doc__)
    parser.add_argument("--model", default="digits", help="name of the model (default: digits)")
    parser.add_argument("--version", help="version of its release (default: the newest)")
    parser.add_argument("--data", help="its training data, if they have moved (default: the data of its recipe)")
    parser.add_argument(
        "--engines",
        default=",".join(FORMATS),
        metavar="FORMATS",
        help=f"number formats to try, separated by commas (default: {','.join(FORMATS)})",
    )
    parser.add_argument(
        "--march",
        choices=[level.march for level in LEVELS],
        help="CPU level to compile for (default: that of this machine); CPUs of a lower level do not use the program",
    )
    parser.add_argument("--remove", action="store_true", help="remove all compiled programs from the release")
    arguments = parser.parse_args(argv)
    release = find(arguments.model, arguments.version)
    if arguments.remove:
        compilation.remove(release.folder)
        print(f"{release.card.name} {release.card.version} has no compiled programs now")
        return
    run(release, arguments.data or own_data(release), arguments.engines.split(","), arguments.march)


def run(release: Release, argument: str, formats: list[str], march: str | None = None) -> Optimized:
    """Compile, compare, print a table, and change the release."""
    if march == LEVELS[-1].march:
        # oneDNN arranges weights for this machine's processor, unless this variable is set before its first use.
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    candidates = compilation.find(formats)
    dataset, left_out = data.load(argument)
    for sentence in capped(left_out):
        print(sentence)
    optimized = compilation.optimize(release, dataset, candidates, print, march)
    card = optimized.card
    print(f"{card.name} {card.version} on {dataset.name}, by one thread of {_processor(optimized)}")
    print(table(optimized))
    for entry in optimized.admitted:
        if entry.float32_layers:
            print(f"- {entry.name} computes {', '.join(entry.float32_layers)} in float32")
    for entry in optimized.rejected:
        even = f", even with {', '.join(entry.float32_layers)} in float32" if entry.float32_layers else ""
        print(f"- {entry.name} is rejected{even}: {entry.rejection}")
    for name, reason in optimized.skipped.items():
        print(f"- {name} was not tried: {reason}")
    print(f"{release.folder}/{REPORT}/{page.FILE_NAME}")
    if optimized.admitted:
        print(f"next: make archive MODEL={card.name} VERSION={card.version}")
    return optimized


def table(optimized: Optimized) -> str:
    """Return a table of latency and accuracy of each engine, the eager network last."""
    heads = ["engine", "ms", "faster", "right", "agrees", "ECE", "sets hold", "test: right", "agrees"]
    rows = [heads]
    measured = [(entry, entry.quality) for entry in optimized.card.engines if entry.quality is not None]
    for entry, quality in measured:
        row = [
            entry.name,
            f"{quality.milliseconds:.3g}",
            f"{quality.milliseconds_float32 / quality.milliseconds:.2f} x",
        ]
        row += [
            f"{quality.accuracy:.2%}",
            f"{quality.agreement:.2%}",
            f"{quality.calibration_error:.4f}",
            _share(quality.coverage),
        ]
        rows.append(row + _tested(optimized, entry.name))
    for device in dict.fromkeys(entry.device for entry, _ in measured):
        quality = next(quality for entry, quality in measured if entry.device == device)
        rows.append(_float32(f"{device} {EAGER}", quality) + _tested(optimized, EAGER))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = []
    for name, *cells in rows:
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join(["", f"{name:<{widths[0]}}", *padded]).rstrip())
    return "\n".join(lines)


def _float32(name: str, quality: EngineQuality) -> list[str]:
    row = [name, f"{quality.milliseconds_float32:.3g}", "", f"{quality.accuracy_float32:.2%}", ""]
    return [*row, f"{quality.calibration_error_float32:.4f}", _share(quality.coverage_float32)]


def _tested(optimized: Optimized, name: str) -> list[str]:
    quality = optimized.tested.get(name)
    return ["", ""] if quality is None else [f"{quality.accuracy:.2%}", f"{quality.agreement:.2%}"]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _processor(optimized: Optimized) -> str:
    return optimized.card.engines[0].compiled_on if optimized.card.engines else platform.machine()


if __name__ == "__main__":
    main()
