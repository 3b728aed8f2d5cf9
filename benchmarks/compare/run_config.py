"""How a run is set up: what every part is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the flags say.

    Attributes:
        folder: releases, environments and scratch stay here, and are used again by the next run.
        photos: a folder of JPEG photos, for the parts that want some.
        pictures: where pictures of curves go.
        seconds: of one measured run.
        rounds: how often all take their turn.
        port: the first of those that are used.
        peers: names of those to compare with; None: all.
    """

    folder: Path
    photos: Path | None
    pictures: Path
    seconds: float = 8.0
    rounds: int = 3
    port: int = 18_480
    peers: tuple[str, ...] | None = None

    def images(self, folder: Path | None, most: int) -> list[bytes]:
        """The first images of a folder, by name.

        Raises:
            ValueError: none is given, or it holds none.
        """
        if folder is None:
            raise ValueError("this part asks about real photos: give --photos, a folder of JPEG files")
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise ValueError(f"--photos {folder}: it holds no {', '.join(SUFFIXES)}")
        return [path.read_bytes() for path in paths[:most]]
