"""Generated sections and tables of pages in docs/, with the machine and the date of a measurement."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

from handlers.engines import machine
from scripts.maintenance.markdown import replace_block
from scripts.maintenance.markdown import table as table


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
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    try:
        new = replace_block(old, name, "measured", text)
    except ValueError as error:
        raise ValueError(f"{page}: {error}") from None
    page.write_text(new, encoding="utf-8")
