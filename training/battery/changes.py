"""Changes of the network's input that keep the class of most images: uint8 (N, 3, S, S) -> the same.

Each change is deterministic. Strengths are fixed, and lengths are shares of the image's side, so that sets of different
models compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from training.data.pixels import gaussian_blur, luminance, rounded

Change = Callable[[torch.Tensor], torch.Tensor]

# Factors of red, green and blue: a warm lamp or another stain, and cold light.
ORANGE = (1.0, 0.72, 0.4)
BLUE = (0.55, 0.8, 1.0)
# Standard deviation of the blur, as a share of the side: one pixel of 24.
BLUR = 1 / 24
DIM, BRIGHT = 0.4, 1.6
# Standard deviation of the noise, of 255.
NOISE = 30.0
SEED = 0


@dataclass(frozen=True, slots=True)
class NamedChange:
    """A change, its name for files and code, and its title for people."""

    name: str
    title: str
    apply: Change


def inverted(pixels: torch.Tensor) -> torch.Tensor:
    """Return the negative."""
    return 255 - pixels


def tinted(pixels: torch.Tensor, factors: tuple[float, float, float]) -> torch.Tensor:
    """Return the images with red, green and blue scaled by `factors`, as by a filter before the lens."""
    return rounded(pixels.float() * torch.tensor(factors, device=pixels.device).view(1, 3, 1, 1))


def blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Return the images out of focus: a Gaussian whose standard deviation is BLUR of the side; edges are mirrored."""
    side = pixels.shape[-1]
    return gaussian_blur(pixels, torch.full((len(pixels),), BLUR * side))


def scaled(pixels: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the images with all values scaled by `factor`, as by the exposure of a camera."""
    return rounded(pixels.float() * factor)


def noisy(pixels: torch.Tensor) -> torch.Tensor:
    """Return the images with Gaussian noise, as of a camera in the dark. The same input gets the same noise."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    return rounded(pixels.float() + NOISE * noise)


def rotated(pixels: torch.Tensor) -> torch.Tensor:
    """Return the images turned by 90 degrees counterclockwise."""
    return pixels.rot90(1, (-2, -1)).contiguous()


def upside_down(pixels: torch.Tensor) -> torch.Tensor:
    """Return the images turned by 180 degrees."""
    return pixels.flip((-2, -1))


def mirrored(pixels: torch.Tensor) -> torch.Tensor:
    """Return the images with left and right swapped."""
    return pixels.flip(-1)


CHANGES = (
    NamedChange("inverted", "inverted", inverted),
    NamedChange("gray", "gray", luminance),
    NamedChange("tinted_orange", "tinted orange", partial(tinted, factors=ORANGE)),
    NamedChange("tinted_blue", "tinted blue", partial(tinted, factors=BLUE)),
    NamedChange("blurred", "blurred", blurred),
    NamedChange("dimmed", "dimmed", partial(scaled, factor=DIM)),
    NamedChange("brightened", "brightened", partial(scaled, factor=BRIGHT)),
    NamedChange("noisy", "noisy", noisy),
    NamedChange("rotated", "rotated 90 degrees", rotated),
    NamedChange("upside_down", "upside down", upside_down),
    NamedChange("mirrored", "mirrored", mirrored),
)
