from __future__ import annotations

import numpy as np
import pytest
import torch

from handlers.modalities.image.pixel_statistics import OFFSET, STATISTICS, pixel_statistics


def drawn(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Smooth colors with noise, uint8 (count, 3, size, size), channels last as from the decoder."""
    draw = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, size)[None, :, None, None] + np.linspace(-30, 30, size)[None, None, :, None]
    colors = draw.integers(-40, 40, (count, 1, 1, 3))
    values = (ramp + colors + draw.normal(0, 8, (count, size, size, 3))).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def by_definition(image: torch.Tensor) -> dict[str, float]:
    """Statistics of one small image, uint8 (3, size, size), with plain NumPy in float64."""
    red, green, blue = image.numpy().astype(float) / 255
    gray = (red + green + blue) / 3
    inner = gray[1:-1, 1:-1]
    laplacian = gray[1:-1, 2:] + gray[1:-1, :-2] + gray[2:, 1:-1] + gray[:-2, 1:-1] - 4 * inner
    saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    logs = {
        "log deviation": gray.std(),
        "log deviation of red minus green": (red - green).std(),
        "log deviation of green minus blue": (green - blue).std(),
        "log saturation": saturation.mean(),
        "log horizontal difference": np.abs(inner - gray[1:-1, :-2]).mean(),
        "log vertical difference": np.abs(inner - gray[:-2, 1:-1]).mean(),
        "log Laplacian": np.abs(laplacian).mean(),
    }
    return {
        "mean": gray.mean(),
        "mean of the border": np.concatenate((gray[0], gray[-1], gray[:, 0], gray[:, -1])).mean(),
        "red minus green": (red - green).mean(),
        "green minus blue": (green - blue).mean(),
        **{name: float(np.log(value + OFFSET)) for name, value in logs.items()},
    }


def test_statistics_are_those_of_the_definition() -> None:
    images = drawn(5, 24)
    for image, row in zip(images, pixel_statistics(images).tolist(), strict=True):
        found = dict(zip(STATISTICS, row, strict=True))
        for name, value in by_definition(image).items():
            assert found[name] == pytest.approx(value, abs=1e-4), name


def test_quantiles_are_those_of_a_small_image() -> None:
    image = drawn(1, 8)
    found = dict(zip(STATISTICS, pixel_statistics(image)[0].tolist(), strict=True))
    gray = np.sort(image.numpy().astype(float).mean(axis=1).ravel() / 255)
    expected = [gray[round(share * 63)] for share in (0.02, 0.5, 0.98)]
    assert [found[name] for name in ("2 % quantile", "median", "98 % quantile")] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [4, 24, 72, 73, 224])
def test_image_has_the_same_statistics_in_every_batch(size: int) -> None:
    images = drawn(20, size)
    alone = torch.cat([pixel_statistics(image[None]) for image in images])
    assert torch.equal(pixel_statistics(images), alone)
    assert torch.equal(pixel_statistics(images.contiguous()), alone), "the layout in memory does not matter"


def test_rows_of_a_large_image_stand_for_all() -> None:
    """A photo's statistics come from strips of rows; those of the whole are nearly the same."""
    small, large = drawn(1, 72, seed=3), drawn(1, 360, seed=3)
    difference = (pixel_statistics(small) - pixel_statistics(large)).abs()[0]
    for name, value in zip(STATISTICS, difference.tolist(), strict=True):
        assert value < 0.05, name


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_gray_image_has_finite_statistics(value: int) -> None:
    flat = torch.full((1, 3, 16, 16), value, dtype=torch.uint8)
    found = dict(zip(STATISTICS, pixel_statistics(flat)[0].tolist(), strict=True))
    assert found["mean"] == found["median"] == pytest.approx(value / 255)
    assert all(found[name] == pytest.approx(float(np.log(OFFSET))) for name in STATISTICS if name.startswith("log"))


def test_each_kind_of_change_moves_its_statistics_most() -> None:
    images = drawn(50, 24)
    typical = pixel_statistics(images)
    tinted = (images.float() * torch.tensor([1.15, 1.0, 0.85]).view(1, 3, 1, 1)).clamp(max=255).byte()
    dimmed = (images.float() * 0.5).byte()
    for changed, kind in ((tinted, "colors"), (dimmed, "brightness")):
        shift = ((pixel_statistics(changed) - typical).mean(dim=0) / typical.std(dim=0)).abs().tolist()
        strongest = max(zip(shift, STATISTICS.values(), strict=True))[1]
        assert strongest == kind
