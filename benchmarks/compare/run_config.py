"""Configuration of a run, shared by all parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Values of the flags.

    Attributes:
        folder: holds releases, environments and scratch files, which the next run uses again.
        photos: a folder of JPEG photos, for the parts that need photos.
        plots: folder for the plots.
        seconds: length of one round.
        rounds: number of rounds.
        port: the first port for servers.
        peers: names of the peers to compare with; None: all.
    """

    folder: Path
    photos: Path | None
    plots: Path
    seconds: float = 8.0
    rounds: int = 3
    port: int = 18_480
    peers: tuple[str, ...] | None = None


def read_images(folder: Path | None, limit: int) -> list[bytes]:
    """Return the first images of a folder, by name.

    Raises:
        ValueError: there is no folder, or it has no images.
    """
    if folder is None:
        raise ValueError("this part needs photos: give --photos, a folder of JPEG files")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"--photos {folder}: no {', '.join(SUFFIXES)} files there")
    return [path.read_bytes() for path in paths[:limit]]
