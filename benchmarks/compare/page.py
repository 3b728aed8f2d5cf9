"""docs/benchmarks/performance.md, made from benchmarks/results/."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare.parts import PARTS, Part
from benchmarks.compare.results import PartFigures, PartResult, Target, load
from benchmarks.report import put, table

TABLE = "performance table"


def write(page: Path, results: Path) -> list[str]:
    """Put the results between the markers of the page. Return the names of parts without a result."""
    targets: list[Target] = []
    missing = []
    for name, part in PARTS.items():
        result = load(name, results)
        if result is None:
            missing.append(name)
            continue
        figures = part.figures.model_validate(result.figures)
        put(page, f"performance {name}", section(part, result, figures))
        targets += figures.targets()
    if targets:
        put(page, TABLE, targets_table(targets))
    return missing


def section(part: Part, result: PartResult, figures: PartFigures) -> str:
    """Return the section of a part: heading, origin and tables."""
    origin = f"Made by `make measure-performance ONLY={part.name}` {result.environment.sentences()}"
    rounds = f"{result.rounds} round{'s' * (result.rounds > 1)} of {result.seconds:g} s"
    runs = f"There were {rounds}. Each value is the median of the rounds, with the minimum and the maximum in brackets."
    return f"### {part.title}\n\n{origin}\n{runs}\n\n{figures.markdown()}"


def targets_table(targets: list[Target]) -> str:
    """Return the table of targets and measured values."""
    rows = [
        [target.workload, target.requirement, target.measured, "yes" if target.met else "**no**"] for target in targets
    ]
    return table(["workload", "target", "measured", "met"], rows)
