"""Compile a release's network to engines/*.pt2, and admit each program that is faster and keeps its accuracy.

For example:

    torchlight optimize --model cells --engines int8,fp32
"""

from __future__ import annotations

import os
import platform
from typing import Annotated

from cyclopts import Parameter

from handlers.engines import EAGER
from models.card import EngineQuality
from models.release import REPORT, Release, find
from scripts import cli
from scripts.command import say
from scripts.evaluation.evaluate import own_data
from training import compile as compilation
from training import data
from training.compile import Optimized, page
from training.compile.candidates import FORMATS
from training.compile.programs.cpu_level import LEVELS
from training.data.left_out import capped


def main(
    *,
    model: str = "digits",
    version: str | None = None,
    data: str | None = None,
    engines: Annotated[str, Parameter(metavar="FORMATS")] = ",".join(FORMATS),
    march: Annotated[str | None, Parameter(choices=[level.march for level in LEVELS])] = None,
    remove: bool = False,
) -> None:
    """Compile the network of the release that the flags name.

    Args:
        model: name of the model
        version: version of its release (default: the newest)
        data: its training data, if they have moved (default: the data of its recipe)
        engines: number formats to try, separated by commas
        march: CPU level to compile for; CPUs of a lower level do not use the program (default: that of this machine)
        remove: remove all compiled programs from the release
    """
    release = find(model, version)
    if remove:
        compilation.remove(release.folder)
        print(f"{release.card.name} {release.card.version} has no compiled programs now")
        return
    run(release, data or own_data(release), engines.split(","), march)


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
        say(f"next: torchlight archive --model {card.name} --version {card.version}")
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
    cli.run("optimize")
