"""A server with 1.0 of the digits, and candidates in its store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.release import Release, find
from tests.support import candidates
from tests.support.candidates import ShortcutPair
from tests.support.server import Server
from training.data import Dataset

# Each has a version of its own, so that one server can run all of them.
MAKERS: dict[str, Callable[[Release, Path, str], Release]] = {
    "1.1": candidates.less_accurate,
    "1.2": candidates.slow,
    "1.3": candidates.failing,
    "2.0": candidates.good,
}


@pytest.fixture(scope="session")
def shortcut(tmp_path_factory: pytest.TempPathFactory) -> ShortcutPair:
    return candidates.shortcut_pair(tmp_path_factory.mktemp("shortcut"))


@pytest.fixture(scope="session")
def candidates_store(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with digits 1.0, all candidates of MAKERS, and the .mar of 1.0."""
    folder = tmp_path_factory.mktemp("candidates")
    shutil.copytree(workspace / "model_store", folder / "model_store")
    stable = find("digits", "1.0", workspace / "releases")
    for version, make in MAKERS.items():
        candidates.put(make(stable, folder / "releases" / "digits" / version, version), folder / "model_store")
    return folder


@pytest.fixture(scope="module")
def rolling(candidates_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of 1.0, whose store has the candidates."""
    folder = tmp_path_factory.mktemp("rolling")
    shutil.copytree(candidates_store / "model_store", folder / "model_store")
    with Server(folder, "--model", "digits", "--version", "1.0") as server:
        yield server


@pytest.fixture(scope="session")
def held_out(digits: Dataset) -> list[bytes]:
    """Images of digits that no version was trained on."""
    images, _ = candidates.held_out(digits)
    return [image for image in images if isinstance(image, bytes)]
