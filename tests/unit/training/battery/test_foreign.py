"""Foreign images."""

from __future__ import annotations

import pytest
import torch

from handlers.modalities.image import images
from models.card import Input
from training.battery.foreign import FOREIGN, NamedDraw, foreign_to, network_input
from training.data.builtin import digits

SPEC = Input(size=16, mean=(0, 0, 0), std=(1, 1, 1))
BY_NAME = {kind.name: kind for kind in FOREIGN}


@pytest.mark.parametrize("kind", FOREIGN, ids=[kind.name for kind in FOREIGN])
def test_foreign_images_are_the_same_for_a_seed_and_differ_from_each_other(kind: NamedDraw) -> None:
    first, again, other = (network_input(kind.draw(6, SPEC, seed), SPEC) for seed in (0, 0, 1))
    assert first.shape == (6, 3, 16, 16)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(first.flatten(1).unique(dim=0)) == 6


def test_foreign_images_pass_through_the_code_that_serves() -> None:
    spec = Input(size=16, resize="crop", crop=0.5, mean=(0, 0, 0), std=(1, 1, 1))
    (source,) = BY_NAME["screenshots"].draw(1, spec, 0)
    expected = images.pixels(images.picture(source, spec), spec)
    assert torch.equal(network_input([source], spec)[0], expected)


def test_digits_are_foreign_to_all_but_digits() -> None:
    every = [kind.name for kind in FOREIGN]
    assert [kind.name for kind in foreign_to("cells")] == every
    for name in (digits.NAME, "MNIST", "my digits"):
        assert [kind.name for kind in foreign_to(name)] == [kind for kind in every if kind != "digits"]


def test_flat_colors_start_with_black_and_white() -> None:
    pixels = network_input(BY_NAME["flat_colors"].draw(5, SPEC, 0), SPEC)
    assert [int(image.unique()) for image in pixels[:3]] == [0, 255, 128]
    assert all(len(image.flatten(1).unique(dim=1).T) == 1 for image in pixels)
