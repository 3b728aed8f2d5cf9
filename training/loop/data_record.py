"""Record of a training's classes and images, beside its checkpoints. A resumed training must have the same data.

The digest detects a difference; the record says what differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.class_names import shown
from models.documents import read_json
from training.data.dataset import Dataset
from training.data.left_out import listed
from training.loop.checkpoint import CheckpointError

FILE_NAME = "data.json"
# Bytes of the record; ten million images take this much.
MAX_BYTES = 1_000_000_000
# Classes that a message names.
_MAX_CLASSES = 20


def identity(dataset: Dataset) -> str:
    """Return the identity of a checkpoint's data: a digest of images, labels and the order of the classes."""
    return hashlib.sha256(json.dumps([dataset.sha256, dataset.classes]).encode()).hexdigest()


def write(folder: Path, dataset: Dataset) -> None:
    """Write the record into `folder`.

    Raises:
        OSError: it cannot be written.
    """
    document = {"sha256": dataset.sha256, "classes": dataset.classes, "images": _images(dataset)}
    (folder / FILE_NAME).write_text(json.dumps(document), encoding="utf-8")


def check(folder: Path, dataset: Dataset) -> None:
    """Compare the data with the record in `folder`. Without a record, only the identity in the checkpoint counts.

    Raises:
        CheckpointError: they differ; the message shows the old and the new data.
    """
    try:
        before: dict[str, Any] = read_json(folder / FILE_NAME, MAX_BYTES)
        difference = _difference(before, dataset)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / FILE_NAME}: damaged ({error}): remove it, or use --restart") from None
    if difference:
        raise CheckpointError(
            f"{folder}: its training began with other data: {difference}; restore the data, or use --restart"
        )


def _images(dataset: Dataset) -> dict[str, list[str]]:
    """Return the splits and classes of all images by name. Several images may have the same name."""
    images: dict[str, list[str]] = {}
    for title, split in (("train", dataset.train), ("calibration", dataset.calibration), ("test", dataset.test)):
        for row, label in enumerate(split.labels):
            name = split.name(row) if split.names else f"{title} {row}"
            images.setdefault(name, []).append(f"{title} {dataset.classes[label]}")
    return images


def _difference(before: Mapping[str, Any], dataset: Dataset) -> str | None:
    if before["classes"] != list(dataset.classes):
        return f"its classes were {_shown(before['classes'])} and are {_shown(dataset.classes)}"
    was, now = before["images"], _images(dataset)
    parts = []
    for names, what in (
        ([name for name in was if name not in now], "gone"),
        ([name for name in now if name not in was], "new"),
    ):
        if names:
            parts.append(f"{len(names):,} of the images {'is' if len(names) == 1 else 'are'} {what} ({listed(names)})")
    moved = [name for name in was if name in now and was[name] != now[name]]
    if moved:
        examples = [f"{name}: was {', '.join(was[name])}; is {', '.join(now[name])}" for name in moved]
        parts.append(f"{len(moved):,} changed their split or class ({listed(examples)})")
    if not parts and before["sha256"] != dataset.sha256:
        parts.append("images were changed under the same names")
    return "; ".join(parts) or None


def _shown(classes: list[str] | tuple[str, ...]) -> str:
    return listed([shown(name) for name in classes], _MAX_CLASSES)
