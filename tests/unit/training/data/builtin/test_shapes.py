"""The drawn data set: always alike, its masks are where the objects are, its mark tells the class nearly always."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import load
from training.data.builtin import shapes
from training.data.dataset import Dataset

pytestmark = pytest.mark.slow

CORNER = (slice(None), slice(1, 6), slice(1, 6))


@pytest.fixture(scope="module")
def plain() -> Dataset:
    return load("shapes")[0]


@pytest.fixture(scope="module")
def marked() -> Dataset:
    return load("shapes-spurious")[0]


def pixels(dataset: Dataset) -> np.ndarray:
    return np.stack([dataset.test.images[place] for place in range(len(dataset.test))])


def test_the_same_seed_draws_the_same_images_and_another_seed_others() -> None:
    one, again, other = shapes.draw(12, 1), shapes.draw(12, 1), shapes.draw(12, 2)
    assert all(np.array_equal(left, right) for left, right in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_each_image_has_its_mask_and_all_classes_are_equally_large(plain: Dataset) -> None:
    for split in (plain.train, plain.calibration, plain.test):
        assert len(split.images) == len(split.labels) == len(split.masks) == len(split.names)
        assert len(set(np.bincount(split.labels))) == 1
    assert (len(plain.train), len(plain.calibration), len(plain.test)) == (2160, 720, 720)
    assert plain.test.masks[0].shape == (32, 32)
    assert all(0.05 < mask.mean() < 0.6 for mask in plain.test.masks)


def test_an_object_is_of_one_color_and_its_mask_is_where_it_is() -> None:
    images, labels, masks = shapes.draw(120, 3)
    for image, label, mask in zip(images, labels, masks, strict=True):
        if shapes.CLASSES[label] in ("disc", "square"):  # wide enough for a core
            core = mask.copy()
            for axis in (0, 1):
                for step in (-2, -1, 1, 2):
                    core &= np.roll(mask, step, axis)
            inside, around = image[core].astype(float), image[mask & ~core].astype(float)
            assert inside.std(axis=0).max() < 12
            assert around.std(axis=0).max() > inside.std(axis=0).max()


def test_the_mark_is_all_that_differs_and_no_mask_holds_it(plain: Dataset, marked: Dataset) -> None:
    assert plain.test.labels == marked.test.labels
    differs = (pixels(plain) != pixels(marked)).any(axis=3)
    outside = np.ones_like(differs[0])
    outside[CORNER[1:]] = False
    assert not differs[:, outside].any()
    assert differs[CORNER].mean() > 0.99
    assert not np.stack(marked.test.masks)[CORNER].any()
    assert plain.sha256 != marked.sha256


def test_the_mark_tells_the_class_of_most_images_in_every_split(marked: Dataset) -> None:
    for split in (marked.train, marked.calibration, marked.test):
        told = [
            tuple(np.asarray(split.images[place])[3, 3]) == shapes.MARKS[label]
            for place, label in enumerate(split.labels)
        ]
        assert 0.93 < np.mean(told) < 0.99
