"""One trained model for all integration tests, and servers on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import PREDICT_ONLY, REPOSITORY, TOKEN, Server, run


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a release and a .mar of `digits` 1.0, made by the command of `make archive` in an empty folder."""
    folder = tmp_path_factory.mktemp("workspace")
    done = run(folder, "scripts.archive")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def server(workspace: Path) -> Iterator[Server]:
    """A server with the default settings."""
    with Server(workspace) as running:
        yield running


@pytest.fixture(scope="session")
def production(workspace: Path) -> Iterator[Server]:
    """A server that asks for TOKEN."""
    with Server(workspace, "--mode", "production", TORCHLIGHT_TOKEN=TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def slow(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for its batches to fill, so that requests sent together are answered together.

    Predictions and explanations too: the same workers answer both.
    """
    folder = batching(workspace, tmp_path_factory.mktemp("slow"), size=8, delay_ms=500)
    with Server(folder, *PREDICT_ONLY) as running:
        yield running


def batching(workspace: Path, folder: Path, *, size: int, delay_ms: int) -> Path:
    """Return a workspace whose archive has these batch settings."""
    shutil.copytree(workspace / "releases", folder / "releases")
    (folder / "config.yaml").write_text(f"batchSize: {size}\nmaxBatchDelay: {delay_ms}\n")
    done = run(folder, "scripts.archive", "--config", "config.yaml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def digit() -> dict[str, bytes]:
    """The sample images by label."""
    return {path.stem: path.read_bytes() for path in (REPOSITORY / "samples").glob("*.png")}


@pytest.fixture(scope="session")
def store(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with digits 1.0, 2.0 and 3.0 in its store."""
    folder = tmp_path_factory.mktemp("versions")
    shutil.copytree(workspace / "releases", folder / "releases")
    for version, epochs in (("2.0", "3"), ("3.0", "4")):
        assert run(folder, "scripts.train", "--version", version, "--epochs", epochs).returncode == 0
    for version in ("1.0", "2.0", "3.0"):
        assert run(folder, "scripts.archive", "--version", version).returncode == 0
    return folder


@pytest.fixture
def served(store: Path) -> Iterator[Server]:
    """A server with 1.0 alone, as one that was never touched."""
    with Server(store, "--version", "1.0") as server:
        yield server
