"""What a measurement leaves behind: a table in a page of docs/, with where and when it was made."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

from handlers.engines import machine


def where() -> str:
    """The machine and the day, as a half sentence."""
    cores = len(os.sched_getaffinity(0))
    about = f"{cores} cores, {machine.processor()}, Python {platform.python_version()}, torch {torch.__version__}"
    return f"on {datetime.date.today()}: {about}"


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of this name, or add them at the end of the page."""
    begin, end = f"<!-- {name}: measured, do not edit -->", f"<!-- {name}: end -->"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    before, found, rest = old.partition(begin)
    if found and end not in rest:
        raise ValueError(f"{page}: has {begin!r} without {end!r} after it; put the second back, or remove the first")
    after = rest.partition(end)[2] if found else "\n"
    lead = before if found or not before else before.rstrip() + "\n\n"
    page.write_text(f"{lead}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
