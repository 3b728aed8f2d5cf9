"""Data sets by name or path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.training.data.test_folder import fill
from training.data import DataError, Dataset, load


def test_a_name_a_folder_and_a_table_are_told_apart(tmp_path: Path) -> None:
    assert load("digits")[0].name == "digits"
    root = fill(tmp_path / "pets", cat=9, dog=9)
    assert load(str(root))[0].source == "the folder pets"
    lines = [f"pets/{label}/{number}.png,{label}" for label in ("cat", "dog") for number in range(9)]
    (tmp_path / "zoo.CSV").write_text("\n".join(["path,label", *lines]))
    assert load(str(tmp_path / "zoo.CSV"))[0].source == "the table zoo.CSV"


def test_a_seed_of_ones_own_splits_otherwise(digits: Dataset) -> None:
    other, _ = load("digits", seed=1)
    assert other.test != digits.test
    assert other.sha256 == digits.sha256


@pytest.mark.parametrize("argument", ["nowhere", "nowhere.csv", "nowhere.tar.gz", ""])
def test_unknown_data_set_is_refused_with_the_known_ones(argument: str) -> None:
    with pytest.raises(
        DataError,
        match=rf"data set {argument!r} is neither a folder nor a known data set: give a folder .*, a \.csv file .*, "
        "or one of cifar10, digits, shapes, shapes-spurious$",
    ):
        load(argument)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("path,label")
    with pytest.raises(DataError, match=r"notes\.txt' is no kind of file that is read: give a folder"):
        load(str(tmp_path / "notes.txt"))
