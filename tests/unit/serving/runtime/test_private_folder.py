from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.errors import StartError
from serving.runtime import private_folder
from serving.runtime.instance import Instance, Ports


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".run" / "8080"


def test_new_folder_is_private_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        private_folder.make(folder)
    finally:
        os.umask(before)
    assert (mode(folder.parent), mode(folder)) == ("0o700", "0o700")


def test_modes_of_an_earlier_start_are_corrected(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("lock", "status.json", "server.log", "journal.jsonl", "commands.lock"):
        (folder / name).touch()
        (folder / name).chmod(0o664)
    for path in (folder, folder.parent):
        path.chmod(0o777)
    private_folder.make(folder)
    assert (mode(folder.parent), mode(folder)) == ("0o700", "0o700")
    assert {mode(path) for path in folder.iterdir()} == {"0o600"}


def test_link_in_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    private_folder.make(folder)
    other = tmp_path / "other"
    other.touch()
    other.chmod(0o644)
    (folder / "link").symlink_to(other)
    private_folder.make(folder)
    assert mode(other) == "0o644"


@pytest.mark.parametrize("linked", [".run", ".run/8080"])
def test_symbolic_link_is_refused(folder: Path, tmp_path: Path, linked: str) -> None:
    (tmp_path / "elsewhere" / "8080").mkdir(parents=True)
    link = tmp_path / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    for use in (Instance(Ports(8080), tmp_path / ".run").claim, Instance(Ports(8080), tmp_path / ".run").running):
        with pytest.raises(StartError, match=rf"{link} is a symbolic link: remove it"):
            use()


@pytest.mark.parametrize("foreign", [".run", ".run/8080"])
def test_folder_of_another_user_is_refused(
    folder: Path, tmp_path: Path, foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_folder.make(folder)
    os.chown(tmp_path / foreign, 12345, -1)
    instance = Instance(Ports(8080), tmp_path / ".run")
    for use in (instance.claim, instance.running, lambda: instance.stop(timeout=1)):
        with pytest.raises(StartError, match=rf"{tmp_path / foreign} belongs to user 12345, and you are user "):
            use()


def test_file_instead_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    folder.touch()
    with pytest.raises(StartError, match="8080 is not a folder: remove it"):
        private_folder.check(folder)
