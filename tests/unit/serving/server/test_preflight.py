from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from serving.artifacts.store import Archive
from serving.errors import StartError
from serving.rollout import state
from serving.runtime import atomic_files
from serving.server import preflight
from serving.server.launch_options import Launch
from serving.torchserve.worker_roles import RoleCounts


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    archive = Archive(tmp_path / "digits-1.0.mar", "digits", "1.0")
    archive.path.write_bytes(bytes(10_000_000))
    return Launch(archives=[archive], state=state.from_archives([archive]), role_counts=RoleCounts(1, 1))


def test_preflight_passes_with_readable_archives_and_disk_space(launch: Launch, tmp_path: Path) -> None:
    preflight.check(launch, tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["digits-1.0.mar"]


def test_archive_that_cannot_be_read_is_named(launch: Launch, tmp_path: Path) -> None:
    launch.archives[0].path.unlink()
    launch.archives[0].path.mkdir()
    with pytest.raises(StartError, match=r"digits-1\.0\.mar cannot be read \(Is a directory\): check its owner"):
        preflight.check(launch, tmp_path, tmp_path)


def test_preflight_needs_disk_space_for_the_models_of_every_role(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, enough in ((56_000_000, True), (55_999_999, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        if enough:
            preflight.check(launch, tmp_path, tmp_path)
        else:
            with pytest.raises(StartError, match="has 56 MB free; unpacking the models needs 56 MB"):
                preflight.check(launch, tmp_path, tmp_path)


def test_full_disk_is_named(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(atomic_files, "check_space", full)
    with pytest.raises(StartError, match=r"cannot be written to \(No space left on device\): free some space there"):
        preflight.check(launch, tmp_path, tmp_path)
