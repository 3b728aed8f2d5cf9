from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.server import file_presence
from serving.server.file_presence import Presence

# A parent whose one child works in the folder of a model, until its standard input is closed.
PARENT = "import subprocess, sys; subprocess.run(['cat'], cwd=sys.argv[1])"
MANIFEST = "tmp/models/1a2b/MAR-INF/MANIFEST.json"
FILES = ("lock", "key_file.json", "versions.map", "tmp/haproxy.sock", "tmp/deadline.sock")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server's folder with all that belongs there, and looks that need no waiting."""
    monkeypatch.setattr(file_presence, "LOOK_SECONDS", 0.0)
    (tmp_path / "tmp" / "models" / "1a2b" / "MAR-INF").mkdir(parents=True)
    for name in (*FILES, MANIFEST):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def java(folder: Path) -> Iterator[int]:
    model = folder / "tmp" / "models" / "1a2b"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(model)], stdin=subprocess.PIPE) as parent:
        # A forked child is still in its parent's folder for a moment: it changes the folder before it runs `cat`.
        while {file_presence._working_folder(pid) for pid in file_presence._children(parent.pid)} != {model}:
            assert parent.poll() is None
        yield parent.pid


def watch(folder: Path, *, proxy: bool = True) -> Presence:
    return Presence(folder, folder / "tmp", proxy=proxy)


def test_file_presence_reports_nothing_while_all_files_exist(folder: Path, java: int) -> None:
    present = watch(folder)
    assert [present.loss(java) for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("name", FILES)
def test_removed_file_of_the_server_is_named_at_once(folder: Path, java: int, name: str) -> None:
    present = watch(folder)
    (folder / name).unlink()
    loss = f"{folder / name} was removed while the server ran, maybe by a cleaner of temporary files"
    assert present.loss(java) == loss


def test_missing_haproxy_files_are_ignored_without_haproxy(folder: Path, java: int) -> None:
    present = watch(folder, proxy=False)
    (folder / "tmp" / "haproxy.sock").unlink()
    assert present.loss(java) is None


def test_model_with_removed_files_is_reported_at_the_second_check(folder: Path, java: int) -> None:
    present, manifest = watch(folder), folder / MANIFEST
    manifest.unlink()
    assert present.loss(java) is None
    assert f"{manifest} was removed" in str(present.loss(java))


def test_model_with_removed_folder_is_reported(folder: Path, java: int) -> None:
    present = watch(folder)
    shutil.rmtree(folder / "tmp" / "models")
    assert present.loss(java) is None
    assert f"{folder / MANIFEST} was removed" in str(present.loss(java))


def test_retired_version_is_not_reported_as_missing(folder: Path, java: int) -> None:
    """Its files go while its workers still end: here they have ended at the second look."""
    present = watch(folder)
    (folder / MANIFEST).unlink()
    assert present.loss(java) is None
    (worker,) = file_presence._children(java)
    assert [present.loss(worker) for _ in range(2)] == [None] * 2, "it has no children"
