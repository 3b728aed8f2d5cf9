"""Baselines: the image without information, which methods compare the image with."""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.background import Background
from handlers.explain.methods.method import AttributionInputs, MethodSettings
from models.card import Input

# Baselines that a request may name.
NAMES = ("blur", "mean", "black", "white", "noise")
# The baseline of a method that compares with many training images, which a request cannot change.
TRAINING_IMAGES = "training_images"
SEED = 0


def make(name: str, images: torch.Tensor, spec: Input) -> torch.Tensor:
    """Return the baselines of N images.

    Args:
        name: `blur` keeps color and brightness and removes detail. `mean`, `black` and `white` are one color; `mean` is
            the mean of the training images. `noise` is random pixels, the same for each image.
        images: normalized, float32 (N, 3, H, W).
        spec: the normalization of the images.

    Returns:
        (N, 3, H, W), normalized.

    Raises:
        ValueError: the baseline does not exist.
    """
    if name == "blur":
        return blur(images)
    if name == "mean":
        return torch.zeros_like(images)
    if name in ("black", "white"):
        return _normalized(torch.full_like(images, float(name == "white")), spec)
    if name == "noise":
        generator = torch.Generator().manual_seed(SEED)
        noise = torch.rand(images.shape[1:], generator=generator).to(images)
        return _normalized(noise.expand_as(images).contiguous(), spec)
    raise ValueError(f"baseline {name!r:.60} does not exist: there is {', '.join(NAMES)}")


def attribution_inputs(
    images: torch.Tensor, weights: torch.Tensor, settings: MethodSettings, spec: Input, background: Background | None
) -> AttributionInputs:
    """Return N images with the weights of their scores, and with the baselines that the settings name.

    Args:
        background: training images of the model; None if it has none.

    Raises:
        ValueError: the settings name training images, and there are none.
    """
    if settings.baseline == TRAINING_IMAGES:
        if background is None:
            raise ValueError("the settings name training images, and there are none")
        return AttributionInputs(images, weights, background=background.for_samples(settings.steps or 0))
    return AttributionInputs(images, weights, make(settings.baseline, images, spec) if settings.baseline else None)


def blur(images: torch.Tensor) -> torch.Tensor:
    """Blur (N, C, H, W) by a Gaussian with a standard deviation of an eighth of the height; edges are repeated."""
    channels, height = images.shape[1], images.shape[2]
    sigma = height / 8
    radius = min(round(2 * sigma), height - 1, images.shape[3] - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(channels, 1, -1)
    padded = functional.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = functional.conv2d(padded, kernel.unsqueeze(2), groups=channels)
    return functional.conv2d(rows, kernel.unsqueeze(3), groups=channels)


def _normalized(pixels: torch.Tensor, spec: Input) -> torch.Tensor:
    mean, std = (torch.tensor(values).to(pixels).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return (pixels - mean) / std
