"""The order of file and class names: as people count, and the same on every machine and in every run."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key: 2.png before 10.png, and a class called 2 before one called 10.

    The name itself breaks ties, so `1`, `01` and `001` have an order that no hash seed or file system changes.
    """
    # A longer number than a file name holds would take int() too long.
    parts = [
        (int(part), "") if part.isdecimal() and len(part) < 256 else (-1, part) for part in re.split(r"(\d+)", name)
    ]
    return parts, name
