"""Attribution maps of both versions that differ most, as pictures for the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import documents
from serving.rollout.record import Record

FOLDER = Path("shadow", "maps")
PAIRS = Path("shadow", "pairs.jsonl")
MAX_PAIRS = 20
# A page with 20 pairs should stay below 20 MB.
MAX_BYTES = 500_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class MapPair:
    """The maps of one image.

    Attributes:
        stable, candidate: pictures as data URLs.
        label: the label that both versions gave; empty if it is not recorded.
        correlation: rank correlation of both maps; None if it is not recorded.
    """

    number: str
    stable: str
    candidate: str
    label: str = ""
    correlation: float | None = None


def read(record: Record, problems: list[str]) -> list[MapPair]:
    """Return the pairs in the record. A pair that cannot be shown is left out, and named in `problems`."""
    pairs = []
    described = _described(record)
    for path in sorted((record.folder / FOLDER).glob("*-stable.png"))[:MAX_PAIRS]:
        number = path.name.removesuffix("-stable.png")
        if not re.fullmatch(r"\d+", number):
            continue
        stable, candidate = _picture(path), _picture(path.with_name(f"{number}-candidate.png"))
        if stable is None or candidate is None:
            problems.append(f"The attribution maps of pair {number} are missing or damaged.")
            continue
        details = described.get(int(number), {})
        correlation = details.get("correlation")
        pairs.append(
            MapPair(
                number,
                stable,
                candidate,
                str(details.get("label", "")),
                float(correlation) if isinstance(correlation, (int, float)) else None,
            )
        )
    return pairs


def _described(record: Record) -> dict[int, Mapping[str, Any]]:
    """Return the entries of pairs.jsonl that name a picture, by its number."""
    described: dict[int, Mapping[str, Any]] = {}
    try:
        for entry in documents.read_json_lines(record.folder / PAIRS):
            if isinstance(entry, dict) and str(entry.get("maps", "")).isdecimal():
                described[int(entry["maps"])] = entry
    except OSError:
        pass
    return described


def _picture(path: Path) -> str | None:
    """Return a PNG file as a data URL; None if it is missing, too large, or something else."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    if len(content) > MAX_BYTES or not content.startswith(SIGNATURE):
        return None
    return "data:image/png;base64," + base64.b64encode(content).decode()
