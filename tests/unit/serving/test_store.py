from __future__ import annotations

from pathlib import Path

import pytest

from models.release import ReleaseError
from serving import store
from serving.errors import ArchiveError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        *("digits-1.0.mar", "digits-9.1.mar", "digits-10.0.mar", "my-pets-2-3.mar", "notes.txt"),
        *("digits.mar", "digits-1.0.mar.sha256", ".digits-11.0.mar.123", "digits-v2.mar"),
    ):
        (tmp_path / name).touch()
    return tmp_path


def names(found: list[store.Archive]) -> list[tuple[str, str]]:
    return [(archive.model, archive.version) for archive in found]


def test_archives_are_known_by_their_file_names(root: Path) -> None:
    assert names(store.archives(root)) == [("digits", "1.0"), ("digits", "9.1"), ("digits", "10.0"), ("my-pets-2", "3")]
    assert store.archives(root)[0].path == root / "digits-1.0.mar"


def test_a_file_name_and_its_archive_agree(root: Path) -> None:
    for archive in store.archives(root):
        assert store.path_of(archive.model, archive.version, root) == archive.path


def test_the_newest_of_every_model_is_served(root: Path) -> None:
    assert names(store.choose(None, None, root)) == [("digits", "10.0"), ("my-pets-2", "3")]


def test_the_newest_of_one_model_is_served(root: Path) -> None:
    assert names(store.choose("digits", None, root)) == [("digits", "10.0")]


def test_a_named_version_is_served(root: Path) -> None:
    assert names(store.choose("digits", "9.1", root)) == [("digits", "9.1")]
    assert names(store.choose(None, "3", root)) == [("my-pets-2", "3")]


def test_a_missing_version_is_answered_with_those_there_are(root: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no version 2\.0 in .*: there is digits 1\.0, digits 9\.1, digits 10\.0; "):
        store.choose("digits", "2.0", root)


def test_a_missing_model_is_answered_with_how_to_make_it(root: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no \.mar of 'faces' in .*: make one with `make archive MODEL=faces`"):
        store.choose("faces", None, root)


@pytest.mark.parametrize("folder", ["", "missing"])
def test_an_empty_store_is_answered_with_how_to_fill_it(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ArchiveError, match=r"no \.mar in .*: make one with `make archive`"):
        store.choose(None, None, tmp_path / folder)


@pytest.mark.parametrize(("model", "version"), [("../digits", "1.0"), ("digits", "../1.0"), ("a b", "1")])
def test_no_archive_lies_outside_the_store(model: str, version: str) -> None:
    with pytest.raises(ReleaseError):
        store.path_of(model, version)
