"""Pictures for the report: the pairs of attribution maps that differ most, and images if the plan keeps them.

`maps/NN-stable.png`, `maps/NN-candidate.png` and `images/NN.png` are the pictures; `pictures.json` describes them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models import documents
from models.documents import DocumentError
from serving.rollout.shadow import reasons
from serving.rollout.shadow.comparison import ImagePair
from serving.rollout.shadow.files import PICTURES
from serving.runtime import atomic_files

MAX_MAPS = 20
# Longest side of a stored image.
IMAGE_SIZE = 224

Entry = dict[str, Any]


class Pictures:
    """The pictures in the folder of one shadow. A new one replaces the least interesting one if there are enough.

    Args:
        max_images: number of images to keep.
    """

    def __init__(self, folder: Path, max_images: int) -> None:
        self._folder, self._max_images = folder, max_images
        for name in ("maps", "images"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            index = documents.read_json(folder / PICTURES)
            self._maps, self._images = list(index["maps"]), list(index["images"])
        except (FileNotFoundError, DocumentError, KeyError, TypeError):
            self._maps, self._images = list[Entry](), list[Entry]()

    def add_maps(self, label: str, correlation: float, stable: np.ndarray, candidate: np.ndarray) -> None:
        """Store a pair of maps, each (h, w), if its correlation is among the lowest."""
        entry = {"label": label, "correlation": correlation}
        if not _insert(self._maps, entry, MAX_MAPS, lambda entry: entry["correlation"]):
            return
        for name, heat in (("stable", stable), ("candidate", candidate)):
            self._write(f"maps/{entry['number']:02}-{name}.png", reasons.picture(heat))
        self._save()

    def add_image(self, pair: ImagePair, body: bytes) -> None:
        """Store the image of a request whose body is an image file, if its answers are among the most different."""
        entry = {"labels": list(pair.labels), "change": pair.change or 0.0}
        if not self._max_images or (pair.labels[0] == pair.labels[1] and not pair.change):
            return
        try:
            content = _thumbnail(body)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return
        if _insert(self._images, entry, self._max_images, _agreement):
            self._write(f"images/{entry['number']:02}.png", content)
            self._save()

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        draft = path.with_name(f".{path.name}")
        with open(draft, "wb", opener=atomic_files.private) as file:
            file.write(content)
        draft.replace(path)

    def _save(self) -> None:
        atomic_files.write(self._folder / PICTURES, json.dumps({"maps": self._maps, "images": self._images}))


def _agreement(entry: Entry) -> float:
    """Return how much two answers agree: images with two labels come first, then the largest changes."""
    differs: bool = entry["labels"][0] != entry["labels"][1]
    return -float(entry["change"]) - differs


def _insert(entries: list[Entry], entry: Entry, limit: int, key: Callable[[Entry], float]) -> bool:
    """Insert an entry in order, lowest key first, with a `number` that is free. Return False if it is not kept."""
    if len(entries) >= limit:
        if key(entry) >= key(entries[-1]):
            return False
        entry["number"] = entries.pop()["number"]
    else:
        entry["number"] = len(entries)
    entries.append(entry)
    entries.sort(key=key)
    return True


def _thumbnail(body: bytes) -> bytes:
    with Image.open(io.BytesIO(body)) as image:
        image.draft("RGB", (IMAGE_SIZE, IMAGE_SIZE))
        small = image.convert("RGB")
    small.thumbnail((IMAGE_SIZE, IMAGE_SIZE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()
