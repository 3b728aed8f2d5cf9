from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from models.release import ReleaseError
from serving.artifacts import store
from serving.errors import ArchiveError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        *("digits-1.0.mar", "digits-9.1.mar", "digits-10.0.mar", "my-pets-2-3.mar", "notes.txt"),
        *("digits.mar", "digits-1.0.mar.sha256", ".digits-11.0.mar.123", "digits-v2.mar"),
    ):
        (tmp_path / name).touch()
    return tmp_path


def names(archives: list[store.Archive]) -> list[tuple[str, str]]:
    return [(archive.model, archive.version) for archive in archives]


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
    with pytest.raises(ArchiveError, match=r"no \.mar of 'faces' in .*: .*`torchlight archive --model faces`"):
        store.choose("faces", None, root)


@pytest.mark.parametrize("folder", ["", "missing"])
def test_an_empty_store_is_answered_with_how_to_fill_it(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ArchiveError, match=r"no \.mar in .*: make one with `torchlight archive`"):
        store.choose(None, None, tmp_path / folder)


@pytest.mark.parametrize(("model", "version"), [("../digits", "1.0"), ("digits", "../1.0"), ("a b", "1")])
def test_no_archive_lies_outside_the_store(model: str, version: str) -> None:
    with pytest.raises(ReleaseError):
        store.path_of(model, version)


def test_a_version_in_another_spelling_is_refused_with_both_shown(root: Path) -> None:
    with pytest.raises(ReleaseError, match=r"digits 1 and digits 1\.0 are the same version .* 1\.0 is in "):
        store.choose("digits", "1", root)
    (root / "digits-10.mar").touch()
    with pytest.raises(ReleaseError, match=r"digits 10\.0 and digits 10 are the same version in two spellings"):
        store.choose(None, None, root)
    assert names(store.choose("digits", "10", root)) == [("digits", "10")], "the one that is named is no tie"
    (root / "digits-11.00.mar").touch()
    assert store.versions("digits", root) == ["1.0", "9.1", "10", "10.0"], "zeros in front are no version"


# ---- digests


def write_archive(root: Path, name: str = "digits-1.0.mar", version: str = "1.0", code: str = "pass") -> store.Archive:
    """An archive with the digest beside it, as `make archive` writes both."""
    path = root / name
    with zipfile.ZipFile(path, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "digits", "modelVersion": version}}))
        mar.writestr("torchserve_handler.py", code)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    store.digest_file(path).write_text(f"{digest}  {name}\n", encoding="ascii")
    return store.Archive(path, "digits", "1.0")


def test_an_archive_that_is_as_it_was_made_passes(tmp_path: Path) -> None:
    checked = store.checked(archive := write_archive(tmp_path))
    assert checked.listed
    assert checked.sha256 == hashlib.sha256(archive.path.read_bytes()).hexdigest()
    store.check_unchanged(checked)


def test_an_archive_that_was_replaced_is_refused_with_both_digests(tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    before = store.checked(archive)
    (tmp_path / "elsewhere").mkdir()
    other = write_archive(tmp_path / "elsewhere", code="import os")
    shutil.copy(other.path, archive.path)
    now = hashlib.sha256(archive.path.read_bytes()).hexdigest()
    words = rf"its SHA-256 is {now[:12]}…, and digits-1\.0\.mar\.sha256 says {before.sha256[:12]}…: .*`torchlight arch"
    with pytest.raises(ArchiveError, match=words):
        store.checked(archive)
    with pytest.raises(ArchiveError, match="replaced while it was loaded"):
        store.check_unchanged(before)
    archive.path.unlink()
    with pytest.raises(ArchiveError, match="gone while it was loaded"):
        store.check_unchanged(before)


def test_an_archive_of_another_tool_has_no_digest_which_is_said(tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    store.digest_file(archive.path).unlink()
    checked = store.checked(archive)
    assert not checked.listed
    assert checked.sha256
    assert "digits-1.0.mar has no digits-1.0.mar.sha256 beside it" in store.unlisted(checked)
    content = archive.path.read_bytes()
    archive.path.write_bytes(content.replace(b"pass", b"fail", 1))
    with pytest.raises(ArchiveError, match=r"torchserve_handler\.py is damaged"):
        store.checked(archive)


@pytest.mark.parametrize(
    "text", ["", "abc", "0" * 64, f"{'0' * 64}  other-1.0.mar\n", "\n" + "0" * 64, "x" * 2000, "\xff"]
)
def test_a_damaged_file_of_digests_is_not_taken_for_a_missing_one(tmp_path: Path, text: str) -> None:
    archive = write_archive(tmp_path)
    store.digest_file(archive.path).write_bytes(text.encode("latin-1"))
    with pytest.raises(
        ArchiveError, match=r"digits-1\.0\.mar\.sha256: not the digest of digits-1\.0\.mar, as sha256sum"
    ):
        store.checked(archive)


def test_both_forms_of_sha256sum_are_read(tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    line = store.digest_file(archive.path).read_text(encoding="ascii")
    store.digest_file(archive.path).write_text(
        line.upper().replace("DIGITS", "digits").replace("MAR", "mar").replace("  ", " *")
    )
    assert store.checked(archive).listed
