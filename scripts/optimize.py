"""Compile a release's network, and let in each program that is faster and keeps its accuracy: engines/*.pt2."""

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
from training.compile import Optimized
from training.compile.candidates import FORMATS
from training.compile.cpu_level import LEVELS
from training.data.left_out import capped
from training.report import engines as page


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and compile."""
    parser = argparse.ArgumentParser(prog="python -m scripts.optimize", description=__doc__)
    parser.add_argument("--model", default="digits", help="which model (default: digits)")
    parser.add_argument("--version", help="which release of it (default: the newest)")
    parser.add_argument(
        "--data", help="what it was trained on, if that lies elsewhere now (default: as its recipe says)"
    )
    parser.add_argument(
        "--engines",
        default=",".join(FORMATS),
        metavar="FORMATS",
        help=f"number formats to try, with commas between (default: {','.join(FORMATS)})",
    )
    parser.add_argument(
        "--march",
        choices=[level.march for level in LEVELS],
        help="the level of CPUs to compile for (default: the best that this machine has); lesser ones pass it over",
    )
    parser.add_argument("--remove", action="store_true", help="take all compiled programs out of the release instead")
    arguments = parser.parse_args(argv)
    release = find(arguments.model, arguments.version)
    if arguments.remove:
        compilation.remove(release.folder)
        print(f"{release.card.name} {release.card.version} has no compiled programs any more")
        return
    run(release, arguments.data or own_data(release), arguments.engines.split(","), arguments.march)


def run(release: Release, argument: str, formats: list[str], march: str | None = None) -> Optimized:
    """Compile, estimator, print a table, and change the release."""
    if march == LEVELS[-1].march:
        # Weights are laid out by oneDNN, which would do it for the processor here; it reads this when it is first used.
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    candidates = compilation.find(formats)
    dataset, left_out = data.load(argument)
    for sentence in capped(left_out):
        print(sentence)
    found = compilation.optimize(release, dataset, candidates, print, march)
    card = found.card
    print(f"{card.name} {card.version} on {dataset.name}, by one thread of {_processor(found)}")
    print(table(found))
    for entry in found.admitted:
        if entry.float32_layers:
            print(f"- {entry.name} computes {', '.join(entry.float32_layers)} in float32")
    for entry in found.rejected:
        even = f", even with {', '.join(entry.float32_layers)} in float32" if entry.float32_layers else ""
        print(f"- {entry.name} is kept out{even}: {entry.rejection}")
    for name, why in found.left.items():
        print(f"- {name} was not tried: {why}")
    print(f"{release.folder}/{REPORT}/{page.FILE_NAME}")
    if found.admitted:
        print(f"next: make archive MODEL={card.name} VERSION={card.version}")
    return found


def table(found: Optimized) -> str:
    """What each engine takes and keeps, the eager network last."""
    heads = ["engine", "ms", "faster", "right", "agrees", "ECE", "sets hold", "test: right", "agrees"]
    rows = [heads]
    measured = [(entry, entry.quality) for entry in found.card.engines if entry.quality is not None]
    for entry, kept in measured:
        row = [entry.name, f"{kept.milliseconds:.3g}", f"{kept.milliseconds_float32 / kept.milliseconds:.2f} x"]
        row += [f"{kept.accuracy:.2%}", f"{kept.agreement:.2%}", f"{kept.calibration_error:.4f}", _share(kept.coverage)]
        rows.append(row + _tested(found, entry.name))
    for device in dict.fromkeys(entry.device for entry, _ in measured):
        kept = next(kept for entry, kept in measured if entry.device == device)
        rows.append(_float32(f"{device} {EAGER}", kept) + _tested(found, EAGER))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = []
    for name, *cells in rows:
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join(["", f"{name:<{widths[0]}}", *padded]).rstrip())
    return "\n".join(lines)


def _float32(name: str, kept: EngineQuality) -> list[str]:
    row = [name, f"{kept.milliseconds_float32:.3g}", "", f"{kept.accuracy_float32:.2%}", ""]
    return [*row, f"{kept.calibration_error_float32:.4f}", _share(kept.coverage_float32)]


def _tested(found: Optimized, name: str) -> list[str]:
    one = found.tested.get(name)
    return ["", ""] if one is None else [f"{one.accuracy:.2%}", f"{one.agreement:.2%}"]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _processor(found: Optimized) -> str:
    return found.card.engines[0].compiled_on if found.card.engines else platform.machine()


if __name__ == "__main__":
    main()
