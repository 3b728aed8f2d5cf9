"""Augmentation, which does not depend on the process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from models.card import Input
from training.data.pixels import gaussian_blur
from training.loop.augment import (
    AugmentationRng,
    augment,
    color,
    crop,
    cutout,
    gray,
    invert,
    mixup,
    quarter_turns,
    tint,
)
from training.recipe import Augmentation

SPEC = Input(size=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
EVERYTHING = Augmentation(
    crop=2, flip=True, quarter_turns=True, color=0.3, tint=0.4, gray=0.3, invert=0.3, blur=1.5, cutout=3
)


def draws(count: int, seed: int = 0, rows: slice | None = None) -> AugmentationRng:
    return AugmentationRng(torch.Generator().manual_seed(seed), rows or slice(0, count), count)


@pytest.fixture
def uncropped() -> torch.Tensor:
    """16 images in which every pixel says where it is: row * 12 + column, and the image's number."""
    where = torch.arange(144, dtype=torch.uint8).view(1, 1, 12, 12).expand(16, 2, 12, 12)
    number = torch.arange(16, dtype=torch.uint8).view(16, 1, 1, 1).expand(16, 1, 12, 12)
    return torch.cat([where, number], dim=1)


def test_a_crop_is_a_square_of_the_uncropped_image_and_they_differ(uncropped: torch.Tensor) -> None:
    cropped = crop(uncropped, 8, 0, draws(16))
    assert cropped.shape == (16, 3, 8, 8)
    corners = set()
    for number, image in enumerate(cropped):
        top, left = divmod(int(image[0, 0, 0]), 12)
        assert torch.equal(image, uncropped[number, :, top : top + 8, left : left + 8])
        corners.add((top, left))
    assert len(corners) > 5
    every = {divmod(int(image[0, 0, 0]), 12) for image in crop(uncropped.repeat(64, 1, 1, 1), 8, 0, draws(1024))}
    assert every == {(top, left) for top in range(5) for left in range(5)}, "each place there is comes up"


def test_beyond_the_edge_the_picture_is_mirrored(uncropped: torch.Tensor) -> None:
    padded = torch.nn.functional.pad(uncropped.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    found = crop(uncropped, 12, 2, draws(16))
    places = [
        [(t, le) for t in range(5) for le in range(5) if torch.equal(image, whole[:, t : t + 12, le : le + 12])]
        for image, whole in zip(found, padded, strict=True)
    ]
    assert all(len(place) == 1 for place in places)
    assert len({place[0] for place in places}) > 5


def test_an_uncropped_image_of_the_size_itself_is_left_alone(uncropped: torch.Tensor) -> None:
    assert crop(uncropped, 12, 0, draws(16)) is uncropped


def test_about_half_are_flipped_and_the_others_left(uncropped: torch.Tensor) -> None:
    many = uncropped[:1].repeat(1000, 1, 1, 1)
    found = crop(many, 12, 0, draws(1000), flip=True)
    flipped = [torch.equal(image, many[0].flip(-1)) for image in found]
    assert 440 < sum(flipped) < 560
    assert all(was or torch.equal(image, many[0]) for was, image in zip(flipped, found, strict=True))


def test_color_changes_within_its_strength() -> None:
    gray = torch.full((200, 3, 4, 4), 100, dtype=torch.uint8)
    values = color(gray, 0.2, draws(200))[:, 0, 0, 0].float()
    assert 79 < float(values.min()) < 84
    assert 116 < float(values.max()) < 121, "of an even gray, brightness alone is seen"
    vivid = torch.zeros(50, 3, 4, 4, dtype=torch.uint8)
    vivid[:, 0] = 120
    changed = color(vivid, 0.5, draws(50)).float()
    assert float((changed[:, 0] - changed[:, 1]).std()) > 5, "saturation differs"


def test_quarter_turns_are_all_four_alike_often() -> None:
    corner = torch.zeros(1000, 3, 6, 6, dtype=torch.uint8)
    corner[:, :, 0, 0] = 255
    turned = quarter_turns(corner, draws(1000))
    counts = turned[:, 0, [0, 5, 5, 0], [0, 0, 5, 5]].eq(255).sum(dim=0).tolist()
    assert sum(counts) == 1000
    assert all(200 < count < 300 for count in counts)


def test_tint_darkens_each_color_by_itself_within_its_strength() -> None:
    values = tint(torch.full((300, 3, 2, 2), 200, dtype=torch.uint8), 0.5, draws(300))[:, :, 0, 0].float()
    assert 100 <= float(values.min()) < 103
    assert 197 < float(values.max()) <= 200
    assert abs(float(torch.corrcoef(values.T)[0, 1])) < 0.2


@pytest.mark.parametrize("change", [gray, invert])
def test_change_with_a_probability_leaves_the_others_alone(change: Any) -> None:
    vivid = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(1000, 3, 2, 2)
    changed = change(vivid, 0.3, draws(1000))[:, :, 0, 0]
    expected = [124, 124, 124] if change is gray else [55, 155, 205]
    rows, counts = changed.unique(dim=0, return_counts=True)
    assert sorted(rows.tolist()) == sorted([[200, 100, 50], expected])
    assert 250 < min(counts.tolist()) < 350
    assert torch.equal(change(vivid, 0.0, draws(1000)), vivid)


def test_blur_has_a_deviation_for_each_image() -> None:
    checks = 255 * (torch.arange(12)[:, None] + torch.arange(12)).remainder(2).to(torch.uint8).expand(3, 3, 12, 12)
    blurred = gaussian_blur(checks, torch.tensor([0.0, 0.5, 2.0]))
    assert torch.equal(blurred[0], checks[0])
    deviations = blurred.float().std(dim=(1, 2, 3)).tolist()
    assert deviations[0] > deviations[1] > deviations[2]
    alone = gaussian_blur(checks[1:2], torch.tensor([0.5]))
    assert torch.equal(alone[0], blurred[1]), "the blur of an image does not depend on its batch"


def test_blur_equals_that_of_scipy() -> None:
    pixels = torch.randint(0, 256, (1, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(pixels[0].double().numpy(), (0, 1.5, 1.5), mode="mirror", truncate=3.4)
    assert np.abs(gaussian_blur(pixels, torch.tensor([1.5]))[0].double().numpy() - expected).max() < 1.5


@pytest.mark.parametrize("name", ["quarter_turns", "tint", "gray", "invert", "blur"])
def test_switch_changes_images_and_keeps_their_targets(name: str) -> None:
    pixels = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    how = Augmentation.model_validate({name: 0.9 if name != "quarter_turns" else True})
    batch, targets = augment(pixels, torch.arange(12) % 3, 3, SPEC, how, draws(12))
    plain, plain_targets = augment(pixels, torch.arange(12) % 3, 3, SPEC, Augmentation(), draws(12))
    changed = (batch != plain).flatten(1).any(dim=1)
    assert changed.sum() > 5
    assert torch.equal(targets, plain_targets)


def test_cutout_blanks_one_square(uncropped: torch.Tensor) -> None:
    batch = cutout(torch.ones(200, 3, 8, 8), 3, draws(200))
    blanked = [(image[0] == 0).nonzero() for image in batch]
    for where in blanked:
        height, width = (where.max(dim=0).values - where.min(dim=0).values + 1).tolist()
        assert len(where) == height * width, "a whole rectangle"
        assert 2 <= height <= 3
        assert 2 <= width <= 3
    assert {len(where) for where in blanked} == {4, 6, 9}


def test_mixup_mixes_images_and_targets_in_one_proportion() -> None:
    images = torch.eye(4).view(4, 4, 1, 1)
    batch, targets = mixup(images, torch.eye(4), 1.0, draws(4, seed=3))
    assert torch.allclose(batch.flatten(1), targets)
    assert torch.allclose(targets.sum(dim=1), torch.ones(4))
    assert all(float(row.max()) >= 0.5 for row in targets), "each image stays the larger part of its own"
    assert any(float(row.min()) > 0 or sorted(row)[-2] > 0.01 for row in targets)


def test_empty_request_does_nothing() -> None:
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    batch, targets = augment(pixels, torch.tensor([0, 2, 1, 1, 0]), 3, SPEC, Augmentation(), draws(5))
    assert torch.allclose(batch, (pixels.float() / 255 - 0.5) / 0.25)
    assert targets.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_a_process_varies_its_rows_as_one_that_has_them_all() -> None:
    pixels, labels = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8), torch.arange(9) % 3
    whole, targets = augment(pixels, labels, 3, SPEC, EVERYTHING, draws(9))
    for rows in (slice(0, 4), slice(4, 9)):
        part, own = augment(pixels[rows], labels[rows], 3, SPEC, EVERYTHING, draws(9, rows=rows))
        assert torch.equal(part, whole[rows])
        assert torch.equal(own, targets[rows])


def test_the_same_seed_varies_alike_and_another_otherwise() -> None:
    pixels, labels = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8), torch.arange(9) % 3
    how = EVERYTHING.model_copy(update={"mixup": 0.4})
    one, again, other = (augment(pixels, labels, 3, SPEC, how, draws(9, seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
