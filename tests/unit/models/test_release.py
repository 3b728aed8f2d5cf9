from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from models.card import Card
from models.release import (
    ReleaseError,
    check_spelling,
    checked_name,
    checked_version,
    find,
    in_order,
    next_version,
    sha256,
    verify_digests,
    version_key,
    versions,
)


def lay_down(root: Path, card: Card, *found: str) -> Path:
    """Releases with nothing but a card in them."""
    for version in found:
        folder = root / card.name / version
        folder.mkdir(parents=True)
        card.model_copy(update={"version": version}).save(folder)
    return root


def test_numbers_in_versions_count_as_numbers() -> None:
    assert sorted(["10.0", "9.1", "1.2.10", "1.2.9", "2"], key=version_key) == ["1.2.9", "1.2.10", "2", "9.1", "10.0"]


def test_missing_version_parts_count_as_zero() -> None:
    assert version_key("1") == version_key("1.0") == version_key("1.0.0") == (1, 0, 0)
    assert in_order(["1.0", "2", "1", "0.9", "1.0.1", "1.0.0"]) == ["0.9", "1", "1.0", "1.0.0", "1.0.1", "2"]


@pytest.mark.parametrize(
    ("version", "canonical"), [("01.0", "1.0"), ("1.00", "1.0"), ("007", "7"), ("00", "0"), ("1.2.03", "1.2.3")]
)
def test_zeros_in_front_are_refused_with_the_spelling_to_use(version: str, canonical: str) -> None:
    with pytest.raises(
        ReleaseError, match=rf"^version '{version}': a number has no zeros in front; write {canonical}$"
    ):
        checked_version(version)


@pytest.mark.parametrize(("version", "other"), [("1", "1.0"), ("1.0", "1"), ("1.0.0", "1"), ("2.10", "2.10.0")])
def test_a_second_spelling_of_a_version_is_refused_with_both_shown(version: str, other: str) -> None:
    words = f"^pets {version} and pets {other} are the same version in two spellings, and {other} is in releases/: "
    with pytest.raises(ReleaseError, match=words.replace(".", r"\.")):
        check_spelling("pets", version, ["0.1", other, "3"], "in releases/")
    check_spelling("pets", version, ["0.1", version, "1.1", "2.1"], "in releases/")


def test_a_release_is_not_found_by_another_spelling(tmp_path: Path, card: Card) -> None:
    lay_down(tmp_path, card, "1.0", "2.0")
    with pytest.raises(ReleaseError, match=r"pets 2 and pets 2\.0 are the same version .* write 2\.0, or choose"):
        find("pets", "2", tmp_path)
    lay_down(tmp_path, card, "2")
    with pytest.raises(ReleaseError, match=r"pets 2\.0 and pets 2 are the same version in two spellings"):
        find("pets", root=tmp_path)
    assert find("pets", "2.0", tmp_path).card.version == "2.0", "the one that is named is no tie"


def test_versions_come_oldest_first_and_other_folders_are_passed_over(tmp_path: Path, card: Card) -> None:
    lay_down(tmp_path, card, "10.0", "9.1", "1.0")
    for name in (".11.0-draft", "notes", "1.0.old"):
        (tmp_path / "pets" / name).mkdir()
    (tmp_path / "pets" / "12.0").write_text("a file", encoding="utf-8")
    assert versions("pets", tmp_path) == ["1.0", "9.1", "10.0"]


@pytest.mark.parametrize(
    ("existing", "following"),
    [([], "1.0"), (["1.0"], "2.0"), (["1.0", "1.7"], "2.0"), (["9.1", "10.0"], "11.0"), (["3"], "4.0")],
)
def test_the_next_version_is_the_next_whole_number(
    tmp_path: Path, card: Card, existing: list[str], following: str
) -> None:
    assert next_version("pets", lay_down(tmp_path, card, *existing)) == following


def test_the_newest_release_is_found_where_no_version_is_named(tmp_path: Path, card: Card) -> None:
    found = find("pets", root=lay_down(tmp_path, card, "9.1", "10.0"))
    assert (found.card.version, found.folder) == ("10.0", tmp_path / "pets" / "10.0")


def test_a_named_version_is_found(tmp_path: Path, card: Card) -> None:
    assert find("pets", "9.1", lay_down(tmp_path, card, "9.1", "10.0")).card.version == "9.1"


def test_a_model_without_releases_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no release of 'pets'.*torchlight train --model pets"):
        find("pets", root=tmp_path)


def test_a_missing_version_is_answered_with_those_there_are(tmp_path: Path, card: Card) -> None:
    with pytest.raises(ReleaseError, match=r"no release 2\.0 of 'pets': there are 1\.0, 10\.0"):
        find("pets", "2.0", lay_down(tmp_path, card, "10.0", "1.0"))


def test_a_release_in_the_wrong_folder_is_refused(tmp_path: Path, card: Card) -> None:
    lay_down(tmp_path, card, "1.0")
    (tmp_path / "pets" / "1.0").rename(tmp_path / "pets" / "2.0")
    with pytest.raises(ReleaseError, match=r"its card says pets 1\.0"):
        find("pets", "2.0", tmp_path)


def test_a_release_without_a_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pets" / "1.0").mkdir(parents=True)
    with pytest.raises(ReleaseError, match=r"card\.yaml: no such file"):
        find("pets", root=tmp_path)


@pytest.mark.parametrize("name", ["digits", "a", "My_model-2", "x" * 64])
def test_plain_names_are_allowed(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", ".hidden", "-rf", "a/b", "../a", "a b", "naïve", "x" * 65, "digits\n"])
def test_names_that_would_need_quoting_are_refused(name: str) -> None:
    with pytest.raises(ReleaseError, match="model name"):
        checked_name(name)


@pytest.mark.parametrize("version", ["2", "1.0", "1.2.3", "20260102.1"])
def test_plain_versions_are_allowed(version: str) -> None:
    assert checked_version(version) == version


@pytest.mark.parametrize("version", ["", "v1", "1.", "1.0.0.0", "latest", "1.0-rc1", "../1", "1234567890", "1.0\n"])
def test_versions_that_are_no_numbers_are_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match="version"):
        checked_version(version)


def test_sha256_is_the_one_everybody_computes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


@pytest.fixture
def vouched(tmp_path: Path, card: Card) -> Card:
    (tmp_path / "weights.safetensors").write_bytes(bytes(1000))
    return card.model_copy(update={"digests": {"weights.safetensors": sha256(tmp_path / "weights.safetensors")}})


def test_unchanged_files_pass_the_digests(tmp_path: Path, vouched: Card) -> None:
    verify_digests(tmp_path, vouched)
    assert vouched.digests == {"weights.safetensors": hashlib.sha256(bytes(1000)).hexdigest()}


def test_changed_byte_fails_the_digest_check(tmp_path: Path, vouched: Card) -> None:
    (tmp_path / "weights.safetensors").write_bytes(bytes(999) + b"\x01")
    with pytest.raises(ReleaseError, match=r"weights\.safetensors: its SHA-256 is not the card's"):
        verify_digests(tmp_path, vouched)


def test_a_missing_file_does_not_pass(tmp_path: Path, vouched: Card) -> None:
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ReleaseError, match=r"weights\.safetensors: missing"):
        verify_digests(tmp_path, vouched)
