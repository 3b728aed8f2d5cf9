"""An image file that a folder or a table lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is said to hold an image: its path relative to the data set's root, its class, its split."""

    name: str
    label: str
    split: str = "train"
