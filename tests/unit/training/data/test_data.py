"""Data sets by name or path, and the out-of-distribution images for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.data.test_folder import fill
from training.data import DataError, Dataset, load
from training.data.arrays import Arrays
from training.data.builtin import patches
from training.data.ood_data import ood_data


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


def test_patches_are_pieces_of_two_photos_always_alike() -> None:
    split = patches.load(60)
    assert isinstance(split.images, Arrays)
    assert (split.images.pixels.shape, split.images.pixels.dtype) == ((60, 64, 64, 3), np.uint8)
    assert len({image.tobytes() for image in split.images}) == 60
    assert {name.split(",")[0] for name in split.names} == {"china.jpg", "flower.jpg"}
    assert {name.split()[1] for name in split.names} == {"64", "128", "256"}
    assert patches.load(60) == split
    assert patches.load(60, seed=1) != split


def test_a_piece_is_what_its_name_says() -> None:
    from sklearn.datasets import load_sample_image

    split = patches.load(1)
    photo, _, place = split.name(0).partition(", 64 pixels square at ")
    left, top = (int(part) for part in place.split(", "))
    assert np.array_equal(split.images[0], load_sample_image(photo)[top : top + 64, left : left + 64])


def test_digits_are_unlike_anything_but_digits(digits: Dataset, tmp_path: Path) -> None:
    name, split = ood_data(digits)
    assert (name, len(split)) == ("patches", 500)
    pets, _ = load(str(fill(tmp_path / "pets", cat=9, dog=9)))
    assert ood_data(pets) == ("digits", digits.test)
