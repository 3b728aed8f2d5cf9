from __future__ import annotations

import pytest
import torch

from handlers.explain.methods import baselines
from handlers.explain.methods.baselines import blur
from tests.unit.handlers.explain.asking import SPEC, images


def pixels(batch: torch.Tensor) -> torch.Tensor:
    """Normalized -> 0 to 1."""
    return batch * torch.tensor(SPEC.std).view(1, 3, 1, 1) + torch.tensor(SPEC.mean).view(1, 3, 1, 1)


@pytest.mark.parametrize("name", baselines.NAMES)
def test_each_is_a_batch_of_images(name: str) -> None:
    shown = images(3)
    noise_baseline = baselines.make(name, shown, SPEC)
    assert (noise_baseline.shape, noise_baseline.dtype) == (shown.shape, torch.float32)
    assert torch.equal(noise_baseline, baselines.make(name, shown, SPEC))
    assert torch.allclose(noise_baseline[1:2], baselines.make(name, shown[1:2], SPEC), atol=1e-6)


def test_mean_black_and_white_are_what_they_are_called() -> None:
    shown = images(1)
    colors = {name: pixels(baselines.make(name, shown, SPEC))[0, :, 0, 0] for name in ("mean", "black", "white")}
    assert colors["mean"].tolist() == pytest.approx(SPEC.mean)
    assert colors["black"].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert colors["white"].tolist() == pytest.approx([1, 1, 1])


def test_noise_is_pixels_that_could_be_and_the_same_for_every_image() -> None:
    before = torch.get_rng_state()
    noise_baseline = baselines.make("noise", images(3), SPEC)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(noise_baseline[0], noise_baseline[2])
    drawn = pixels(noise_baseline)
    assert (float(drawn.min()), float(drawn.max())) == pytest.approx((0, 1), abs=0.02)
    assert float(drawn.std()) == pytest.approx(12**-0.5, abs=0.02)


def test_an_unknown_one_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="baseline 'gray' does not exist: there is blur, mean, black, white, noise"):
        baselines.make("gray", images(1), SPEC)


@pytest.mark.parametrize(("height", "width"), [(24, 24), (4, 4), (9, 17), (32, 5)])
def test_blur_keeps_a_constant_image(height: int, width: int) -> None:
    image = torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(2, 3, height, width)
    assert torch.allclose(blur(image), image, atol=1e-5)


def test_blur_spreads_a_point_evenly_and_keeps_channels_apart() -> None:
    image = torch.zeros(1, 3, 33, 33)
    image[0, 1, 16, 16] = 1
    blurred = blur(image)
    assert blurred.shape == (1, 3, 33, 33)
    assert float(blurred[0, 1].sum()) == pytest.approx(1, abs=1e-4)
    assert int(blurred[0, 1].argmax()) == 16 * 33 + 16
    assert torch.allclose(blurred[0, 1], blurred[0, 1].T, atol=1e-7)
    assert torch.allclose(blurred[0, 1], blurred[0, 1].flip(0), atol=1e-7)
    assert blurred[0, [0, 2]].abs().sum() == 0
