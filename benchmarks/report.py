"""Generated sections and tables of pages in docs/, with the machine and the date of a measurement."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

from handlers.engines import machine


def where() -> str:
    """Return the machine and the date, as the end of a sentence."""
    cores = len(os.sched_getaffinity(0))
    machine_text = (
        f"{cores} cores, {machine.processor()}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    return f"on {datetime.date.today()}: {machine_text}"


def put(page: Path, name: str, text: str) -> None:
    """Replace the text between the markers of this name. If there are none, add them at the end of the page.

    Raises:
        ValueError: the page has the first marker without the second.
    """
    begin, end = f"<!-- {name}: measured, do not edit -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    before, marker, tail = old.partition(begin)
    if marker and end not in tail:
        raise ValueError(f"{page}: {begin!r} has no {end!r} after it; add the second marker, or remove the first")
    after = tail.partition(end)[2] if marker else "\n"
    head = before if marker or not before else before.rstrip() + "\n\n"
    page.write_text(f"{head}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
