from __future__ import annotations

import hashlib
import io
from collections import Counter

import pytest
from PIL import Image

from training.data import Dataset, load


def test_the_data_are_the_ones_they_always_were(digits: Dataset) -> None:
    assert digits.name == "digits"
    assert digits.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert digits.sha256 == "0b7e9c3202d7bcd255d6a19a238d3743bf5e320ba74812a6679958a017c55382"


def test_the_split_is_the_one_it_always_was(digits: Dataset) -> None:
    assert (len(digits.train), len(digits.calibration), len(digits.test)) == (1077, 360, 360)
    assert list(digits.test.labels[:10]) == [2, 7, 5, 4, 1, 0, 0, 5, 7, 5]


def test_no_drawing_of_the_test_split_was_trained_on(digits: Dataset) -> None:
    hashes = [
        {hashlib.sha256(content).digest() for content in split.images}
        for split in (digits.train, digits.calibration, digits.test)
    ]
    assert [len(found) for found in hashes] == [1077, 360, 360]  # no drawing is there twice, either
    assert len(set.union(*hashes)) == 1797


def test_every_class_has_its_share_of_each_split(digits: Dataset) -> None:
    everything = Counter([*digits.train.labels, *digits.calibration.labels, *digits.test.labels])
    assert sum(everything.values()) == 1797
    for split, share in ((digits.train, 0.6), (digits.calibration, 0.2), (digits.test, 0.2)):
        for label, count in Counter(split.labels).items():
            assert count == pytest.approx(share * everything[label], abs=1.01)


def test_images_are_small_gray_pngs(digits: Dataset) -> None:
    for content in digits.test.images[:5]:
        image = Image.open(io.BytesIO(content))
        assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
        assert image.getextrema()[1] == 255


def test_loading_twice_gives_the_same(digits: Dataset) -> None:
    assert load("digits") == (digits, [])
