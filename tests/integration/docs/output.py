"""Comparison of what a page shows with what its command printed."""

from __future__ import annotations

import json
import re
from typing import Any

GAP = "…"


def check_text(shown: str, printed: str) -> None:
    """Check that the shown lines were printed in this order. `…` stands for any text, and a number for any number."""
    lines = [line.rstrip() for line in printed.splitlines()]
    for expected in filter(str.strip, shown.splitlines()):
        pattern = line_pattern(expected)
        position = next((index for index, line in enumerate(lines) if pattern.fullmatch(line)), None)
        assert position is not None, f"{expected!r} is not in what follows:\n" + "\n".join(lines)
        lines = lines[position + 1 :]


def line_pattern(expected: str) -> re.Pattern[str]:
    """Return the pattern of printed lines that a shown line stands for."""
    pattern = re.escape(expected.rstrip()).replace(re.escape(GAP), ".*")
    pattern = re.sub(r"\d+(?:\\\.\d+)*", r"\\d[\\d.]*", pattern)
    return re.compile(re.sub(r"(?:\\ )+", r"\\s+", pattern))  # columns may be wider


def check_json(shown: str, printed: str) -> None:
    """Check that two documents have the same members and texts. Numbers and texts with `…` may differ."""
    start = printed.index("{")
    document, _ = json.JSONDecoder().raw_decode(printed[start:])
    _compare(json.loads(shown), document, "")


def _compare(shown: Any, actual: Any, path: str) -> None:
    if isinstance(shown, dict):
        assert isinstance(actual, dict), path
        assert list(shown) == list(actual), path
        for name in shown:
            _compare(shown[name], actual[name], f"{path}.{name}")
    elif isinstance(shown, list):
        assert isinstance(actual, list), path
        assert len(shown) == len(actual), path
        for index, (expected, value) in enumerate(zip(shown, actual, strict=True)):
            _compare(expected, value, f"{path}[{index}]")
    elif isinstance(shown, str) and GAP not in shown:
        assert shown == actual, path
    elif isinstance(shown, bool) or shown is None:
        assert shown is actual, path
    else:
        assert isinstance(actual, str if isinstance(shown, str) else int | float), path
