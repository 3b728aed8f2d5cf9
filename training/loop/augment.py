"""Training images, varied: a batch of uint8 canvases -> a batch of the network's input, on the device they lie on.

Everything random is drawn on the CPU and for the whole batch, so an image is varied alike on every device and whichever
process has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from handlers.modalities.image import images
from models.card import Input
from training.recipe import Augmentation


@dataclass(frozen=True, slots=True)
class AugmentationRng:
    """Random numbers for a batch of `count` images, of which only `rows` are at hand."""

    seed: torch.Generator
    rows: slice
    count: int

    def uniform(self, *shape: int) -> torch.Tensor:
        """Numbers in [0, 1) of this shape for each image at hand: float32 (rows, *shape)."""
        return torch.rand(self.count, *shape, generator=self.seed)[self.rows]

    def whole(self, below: int, *shape: int) -> torch.Tensor:
        """Whole numbers from 0 to `below` - 1 of this shape for each image at hand: int64 (rows, *shape)."""
        return torch.randint(0, below, (self.count, *shape), generator=self.seed)[self.rows]


def augment(
    canvases: torch.Tensor, labels: torch.Tensor, classes: int, spec: Input, how: Augmentation, draws: AugmentationRng
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop, flip, color, cut out and mix.

    Args:
        canvases: uint8 (N, 3, spec.pre_crop_size, spec.pre_crop_size).
        labels: int64 (N,).

    Returns:
        Normalized float32 (N, 3, spec.size, spec.size), and targets (N, classes), each row of sum 1.
    """
    pixels = crop(canvases, spec.size, how.crop, draws, flip=how.flip)
    if how.color:
        pixels = color(pixels, how.color, draws)
    batch = images.normalize(pixels, spec)
    targets = functional.one_hot(labels, classes).float()
    if how.cutout:
        batch = cutout(batch, how.cutout, draws)
    if how.mixup:
        batch, targets = mixup(batch, targets, how.mixup, draws)
    return batch, targets


def crop(
    canvases: torch.Tensor, size: int, padding: int, draws: AugmentationRng, *, flip: bool = False
) -> torch.Tensor:
    """A square of `size` pixels out of each canvas, anywhere within it and `padding` mirrored pixels around it.

    With `flip`, half of them are turned, left for right.
    """
    side = canvases.shape[-1]
    if size == side and not padding and not flip:
        return canvases
    # One gather does it all: mirrored and turned by picking other pixels, not by copies of the batch.
    rows, columns = (draws.whole(side + 2 * padding - size + 1, 2, 1) - padding).transpose(0, 1) + torch.arange(size)
    rows, columns = (side - 1 - (side - 1 - picked.abs()).abs() for picked in (rows, columns))
    if flip:
        columns = torch.where(draws.uniform(1) < 0.5, columns.flip(-1), columns)
    picked = (rows[:, :, None] * side + columns[:, None, :]).flatten(1).to(canvases.device)
    channels = canvases.shape[1]
    taken: torch.Tensor = canvases.flatten(2).gather(2, picked[:, None].expand(-1, channels, -1))
    return taken.view(len(canvases), channels, size, size)


def color(pixels: torch.Tensor, strength: float, draws: AugmentationRng) -> torch.Tensor:
    """Brightness, contrast and saturation of each image, each times 1 - strength to 1 + strength."""
    factors = 1 + strength * (2 * draws.uniform(3, 1, 1, 1) - 1)
    brightness, contrast, saturation = factors.to(pixels.device).unbind(dim=1)
    values: torch.Tensor = pixels.float() * brightness
    middle = values.mean(dim=(1, 2, 3), keepdim=True)
    values = middle + (values - middle) * contrast
    gray = values.mean(dim=1, keepdim=True)
    values = gray + (values - gray) * saturation
    return values.round().clamp(0, 255).to(torch.uint8)


def cutout(batch: torch.Tensor, side: int, draws: AugmentationRng) -> torch.Tensor:
    """A square of `side` pixels of each image becomes the mean color, 0; at the edges less of it is seen."""
    size = batch.shape[-1]
    centers = draws.whole(size, 2, 1).transpose(0, 1)
    rows, columns = ((torch.arange(size) - centers + side // 2) // side == 0).to(batch.device)
    return batch.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def mixup(
    batch: torch.Tensor, targets: torch.Tensor, alpha: float, draws: AugmentationRng
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image and target, mixed with those of another at hand, in one proportion for the whole batch."""
    # Beta(alpha, alpha) as a ratio of Gamma variates: torch.distributions cannot be given a generator.
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), draws.seed)
    total = float(gammas.sum())
    share = float(gammas[0]) / total if total > 0 else 1.0
    share = max(share, 1 - share)
    other = torch.randperm(len(batch), generator=draws.seed).to(batch.device)
    return torch.lerp(batch[other], batch, share), torch.lerp(targets[other], targets, share)


def shrink(batch: torch.Tensor, size: int) -> torch.Tensor:
    """The same pictures at `size` pixels of a side: float32 (N, 3, H, W) -> (N, 3, size, size)."""
    return functional.interpolate(batch, size=(size, size), mode="bilinear", antialias=True)
