"""What an image is compared with: the same picture with nothing in it, in several senses."""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.method import Question, Settings
from models.card import Input

NAMES = ("blur", "mean", "black", "white", "noise")
SEED = 0


def make(name: str, images: torch.Tensor, spec: Input) -> torch.Tensor:
    """The baselines of N images.

    Args:
        name: `blur` keeps color and brightness and takes the detail; `mean`, `black` and `white` are one color, the
            training images' mean for the first; `noise` is pixels drawn at random, the same ones for every image.
        images: normalized, float32 (N, 3, H, W).
        spec: how they were normalized.

    Returns:
        (N, 3, H, W), normalized.

    Raises:
        ValueError: there is no such baseline.
    """
    if name == "blur":
        return blur(images)
    if name == "mean":
        return torch.zeros_like(images)
    if name in ("black", "white"):
        return _normalized(torch.full_like(images, float(name == "white")), spec)
    if name == "noise":
        generator = torch.Generator().manual_seed(SEED)
        drawn = torch.rand(images.shape[1:], generator=generator).to(images)
        return _normalized(drawn.expand_as(images).contiguous(), spec)
    raise ValueError(f"baseline {name!r:.60} does not exist: there is {', '.join(NAMES)}")


def question(images: torch.Tensor, weights: torch.Tensor, settings: Settings, spec: Input) -> Question:
    """N images, what is to be explained of each, and the baselines that the settings want; see Question."""
    return Question(images, weights, make(settings.baseline, images, spec) if settings.baseline else None)


def blur(images: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of (N, C, H, W) with a standard deviation of an eighth of the height, edges repeated."""
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
