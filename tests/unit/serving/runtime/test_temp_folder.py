from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from serving.runtime import temp_folder
from serving.runtime.temp_folder import MAX_PATH_BYTES, TempFolder
from tests.support import docker_host


def test_temp_folder_is_in_the_servers_folder_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(temp_folder, "MAX_PATH_BYTES", len(str(tmp_path / "tmp")))  # wherever tests run
    temp = TempFolder(tmp_path)
    assert temp.path == tmp_path / "tmp"
    assert temp.path.stat().st_mode & 0o777 == 0o700
    assert list(temp.path.iterdir()) == []
    (temp.path / "models").mkdir()
    temp.remove()
    assert not temp.path.exists()


def test_temp_folder_is_elsewhere_if_the_path_is_too_long_for_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in bytes: an umlaut has two."""
    deep = tmp_path / "ü" / ("ü" * (MAX_PATH_BYTES // 2))
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    temp = TempFolder(deep)
    assert temp.path.parent == Path("/tmp")
    assert temp.path.name.startswith("torchlight-")
    temp.remove()
    assert list(deep.iterdir()) == []


def test_sweep_removes_what_a_killed_supervisor_left_and_nothing_else(tmp_path: Path) -> None:
    for name in ("run/tmp/models", "torchlight-x/models", "precious"):
        (tmp_path / name).mkdir(parents=True)
    temp_folder.sweep(tmp_path / "run", str(tmp_path / "precious"))
    temp_folder.sweep(tmp_path / "run", str(tmp_path / "torchlight-x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "run"]
    assert list((tmp_path / "run").iterdir()) == []


def test_temp_folder_is_skipped_by_systemd_tmpfiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_host.install({"systemd-tmpfiles": "systemd"})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    temp, other = TempFolder(None), tmp_path / "other"
    other.mkdir()
    for folder in (temp.path, other):
        (folder / "weights").touch()
    config = tmp_path / "old.conf"
    config.write_text(f"d {tmp_path} - - - 1s\n")
    time.sleep(1.5)
    subprocess.run(["systemd-tmpfiles", "--clean", config], check=True)
    assert (temp.path / "weights").exists()
    assert not (other / "weights").exists(), "it did clean"
    temp.remove()
