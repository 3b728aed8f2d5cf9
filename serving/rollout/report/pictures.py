"""Pictures of a record for the page: attribution maps that differ most, and images if the plan kept some."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import documents
from models.documents import DocumentError
from serving.rollout.record import Record
from serving.rollout.shadow.files import FOLDER, PICTURES

MAX_PICTURES = 20
# A page with 20 pairs of maps should stay below 20 MB.
MAX_BYTES = 400_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class MapPair:
    """The attribution maps of both versions for one image.

    Attributes:
        label: the label that both versions gave.
        correlation: rank correlation of both maps; None if it is not recorded.
        stable, candidate: the maps as data URLs.
    """

    label: str
    correlation: float | None
    stable: str
    candidate: str


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image with different answers.

    Attributes:
        labels: the labels of the stable version and of the candidate.
        change: change of the probability of the stable version's label; None if it is not recorded.
        picture: the image as a data URL.
    """

    labels: tuple[str, str]
    change: float | None
    picture: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a record, those with the largest difference first."""

    maps: list[MapPair]
    images: list[KeptImage]


def read(record: Record, problems: list[str]) -> Pictures:
    """Return the pictures that the replayer stored. One that cannot be shown is left out, and named in `problems`."""
    folder = record.folder / FOLDER
    try:
        index = documents.read_json(folder / PICTURES)
    except FileNotFoundError:
        return Pictures([], [])
    except (DocumentError, OSError) as error:
        problems.append(f"{FOLDER}/{PICTURES} cannot be read: {error}")
        return Pictures([], [])
    maps = [_maps(folder, entry, problems) for entry in _entries(index, "maps")]
    images = [_image(folder, entry, problems) for entry in _entries(index, "images")]
    return Pictures([pair for pair in maps if pair is not None], [image for image in images if image is not None])


def _entries(index: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """Return the entries of one kind that have a number."""
    entries = index.get(name) if isinstance(index, dict) else None
    numbered = [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("number"), int)
    ]
    return numbered[:MAX_PICTURES]


def _maps(folder: Path, entry: Mapping[str, Any], problems: list[str]) -> MapPair | None:
    number = entry["number"]
    stable, candidate = (_picture(folder / "maps" / f"{number:02}-{side}.png") for side in ("stable", "candidate"))
    if stable is None or candidate is None:
        problems.append(f"The attribution maps of pair {number} are missing or damaged.")
        return None
    return MapPair(str(entry.get("label", "")), _number(entry.get("correlation")), stable, candidate)


def _image(folder: Path, entry: Mapping[str, Any], problems: list[str]) -> KeptImage | None:
    number, labels = entry["number"], entry.get("labels")
    picture = _picture(folder / "images" / f"{number:02}.png")
    if picture is None or not isinstance(labels, list) or len(labels) != 2:
        problems.append(f"Image {number} is missing or damaged.")
        return None
    return KeptImage((str(labels[0]), str(labels[1])), _number(entry.get("change")), picture)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


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
