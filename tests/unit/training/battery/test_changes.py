"""Changes of images that keep their class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from training.battery.changes import CHANGES, NamedChange

IDS = [change.name for change in CHANGES]
BY_NAME = {change.name: change.apply for change in CHANGES}


@pytest.fixture
def pixels() -> torch.Tensor:
    """Smooth images with a bright corner: uint8 (4, 3, 12, 12)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 3, 3, generator=generator) * 255
    images = torch.nn.functional.interpolate(coarse, (12, 12), mode="bilinear").to(torch.uint8)
    images[:, :, :3, :3] = 250
    return images


def of(red: int, green: int, blue: int) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 12, 12)


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_change_is_deterministic_and_changes_images_only(change: NamedChange, pixels: torch.Tensor) -> None:
    before = pixels.clone()
    changed = change.apply(pixels)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert torch.equal(changed, change.apply(pixels))
    assert torch.equal(pixels, before), "the images themselves stay"
    assert all(not torch.equal(one, other) for one, other in zip(changed, pixels, strict=True))


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_change_takes_any_size_and_no_images(change: NamedChange) -> None:
    assert change.apply(torch.zeros(0, 3, 9, 9, dtype=torch.uint8)).shape == (0, 3, 9, 9)
    assert change.apply(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)).shape == (1, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "color", "expected"),
    [
        ("inverted", (10, 20, 30), (245, 235, 225)),
        ("tinted_orange", (200, 200, 200), (200, 144, 80)),
        ("tinted_blue", (200, 200, 200), (110, 160, 200)),
        ("dimmed", (100, 0, 255), (40, 0, 102)),
        ("brightened", (100, 0, 255), (160, 0, 255)),
        ("blurred", (100, 0, 255), (100, 0, 255)),
    ],
)
def test_change_of_a_flat_color(name: str, color: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    assert BY_NAME[name](of(*color))[0, :, 5, 5].tolist() == list(expected)


def test_gray_images_are_those_of_pillow(pixels: torch.Tensor) -> None:
    changed = BY_NAME["gray"](pixels)
    expected = np.asarray(Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).convert("L"))
    assert torch.equal(changed[:, 0], changed[:, 2])
    assert np.abs(changed[0, 0].numpy().astype(int) - expected).max() <= 1


def test_turns_move_the_upper_left_corner() -> None:
    pixels = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    pixels[:, :, 0, 0] = 255
    corners = {name: BY_NAME[name](pixels)[0, 0].nonzero().tolist() for name in ("rotated", "upside_down", "mirrored")}
    assert corners == {"rotated": [[5, 0]], "upside_down": [[5, 5]], "mirrored": [[0, 5]]}


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    checks = 255 * (torch.arange(24)[:, None] + torch.arange(24)).remainder(2).to(torch.uint8).expand(1, 3, 24, 24)
    blurred = BY_NAME["blurred"](checks).float()
    assert float(blurred.mean()) == pytest.approx(127.5, abs=1)
    assert float(blurred.std()) < 5


def test_noise_has_its_deviation() -> None:
    noisy = BY_NAME["noisy"](torch.full((20, 3, 16, 16), 128, dtype=torch.uint8)).float()
    assert float(noisy.std()) == pytest.approx(30, abs=1)
    assert float(noisy.mean()) == pytest.approx(128, abs=1)
