"""docs/performance.md and the README's table, made from benchmarks/results/ alone."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare.parts import PARTS, Part
from benchmarks.compare.results import Figures, Mark, Measured, load
from benchmarks.report import put, table

TABLE = "performance table"


def write(page: Path, readme: Path, results: Path) -> list[str]:
    """Put what was measured between the markers of both; returns the names of the parts that never were."""
    found = [(part, load(name, results)) for name, part in PARTS.items()]
    marks: list[Mark] = []
    missing = []
    for part, measured in found:
        if measured is None:
            missing.append(part.name)
            continue
        figures = part.figures.model_validate(measured.figures)
        put(page, f"performance {part.name}", section(part, measured, figures))
        marks += figures.marks()
    if marks:
        text = marks_table(marks)
        put(page, TABLE, text)
        put(readme, TABLE, text)
    return missing


def section(part: Part, measured: Measured, figures: Figures) -> str:
    """The part's heading, how it was measured, and its tables."""
    how = f"Made by `make measure-performance ONLY={part.name}` {measured.where.sentences()}"
    many = f"{measured.rounds} round{'s' * (measured.rounds > 1)} of {measured.seconds:g} s"
    runs = f"There were {many}. Each value is the median of the rounds, with the minimum and the maximum in brackets."
    return f"### {part.title}\n\n{how}\n{runs}\n\n{figures.page()}"


def marks_table(marks: list[Mark]) -> str:
    """What was to be reached, and what was."""
    rows = [[mark.work, mark.mark, mark.found, "yes" if mark.holds else "**no**"] for mark in marks]
    return table(["workload", "target", "measured", "met"], rows)
