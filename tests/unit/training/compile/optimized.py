"""The digits release with its compiled engines, int8 and float32: compiled once a session, some 30 seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.card import Card
from models.release import Release
from training import compile as compilation
from training.compile import timing
from training.compile.figures import Optimized
from training.data import Dataset

_made: dict[Path, tuple[Release, Optimized]] = {}
# What is measured on a busy machine decides nothing here: int8 is the fastest.
MILLISECONDS = {"cpu-int8": 1.0, "cpu-fp32": 2.0, "eager": 3.0}


def made(release: Release, digits: Dataset, root: Path) -> tuple[Release, Optimized]:
    """A copy of the release, optimized, and what came of it."""
    if release.folder not in _made:
        folder = root / "releases" / "digits" / "1.0"
        shutil.copytree(release.folder, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timing, "milliseconds", lambda engines, size: {name: MILLISECONDS[name] for name in engines})
            found = compilation.optimize(
                Release(folder, release.card),
                digits,
                compilation.find(["int8", "fp32"]),
                lambda words: None,
                "x86-64-v3",
            )
        _made[release.folder] = Release(folder, Card.load(folder)), found
    return _made[release.folder]


def copy(release: Release, root: Path) -> Release:
    """A copy that may be changed."""
    folder = root / "optimized" / "digits" / "1.0"
    shutil.copytree(release.folder, folder)
    return Release(folder, release.card)
