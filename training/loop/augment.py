"""Augmentation: a batch of uint8 images of the pre-crop size -> a batch of the network's input, on their device.

Random numbers are drawn on the CPU for the whole batch, so the result does not depend on device and process.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from handlers.modalities.image import images
from models.card import Input
from training.data.pixels import gaussian_blur, luminance, rounded
from training.recipe import Augmentation


@dataclass(frozen=True, slots=True)
class AugmentationRng:
    """Random numbers for a batch of `count` images. This process has the images `rows` of the batch."""

    seed: torch.Generator
    rows: slice
    count: int

    def uniform(self, *shape: int) -> torch.Tensor:
        """Return numbers in [0, 1) of this shape for each local image: float32 (rows, *shape)."""
        return torch.rand(self.count, *shape, generator=self.seed)[self.rows]

    def integers(self, below: int, *shape: int) -> torch.Tensor:
        """Return integers from 0 to `below` - 1 of this shape for each local image: int64 (rows, *shape)."""
        return torch.randint(0, below, (self.count, *shape), generator=self.seed)[self.rows]


def augment(
    images_before_crop: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    spec: Input,
    how: Augmentation,
    rng: AugmentationRng,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop, flip, turn, change colors, blur, cut out and mix.

    Args:
        images_before_crop: uint8 (N, 3, spec.pre_crop_size, spec.pre_crop_size).
        labels: int64 (N,).

    Returns:
        Normalized float32 (N, 3, spec.size, spec.size), and targets (N, classes), each row of sum 1.
    """
    batch = images.normalize(changed(images_before_crop, spec, how, rng), spec)
    targets = functional.one_hot(labels, classes).float()
    if how.cutout:
        batch = cutout(batch, how.cutout, rng)
    if how.mixup:
        batch, targets = mixup(batch, targets, how.mixup, rng)
    return batch, targets


def changed(images_before_crop: torch.Tensor, spec: Input, how: Augmentation, rng: AugmentationRng) -> torch.Tensor:
    """Crop, flip, turn, change colors and blur: changes after which an image is still one of its kind.

    A change that is off draws no random numbers, so a recipe without it trains as before.

    Args:
        images_before_crop: uint8 (N, 3, spec.pre_crop_size, spec.pre_crop_size).

    Returns:
        uint8 (N, 3, spec.size, spec.size).
    """
    pixels = crop(images_before_crop, spec.size, how.crop, rng, flip=how.flip)
    if how.quarter_turns:
        pixels = quarter_turns(pixels, rng)
    if how.color:
        pixels = color(pixels, how.color, rng)
    if how.tint:
        pixels = tint(pixels, how.tint, rng)
    if how.gray:
        pixels = gray(pixels, how.gray, rng)
    if how.invert:
        pixels = invert(pixels, how.invert, rng)
    if how.blur:
        pixels = gaussian_blur(pixels, how.blur * rng.uniform())
    return pixels


def crop(uncropped: torch.Tensor, size: int, padding: int, rng: AugmentationRng, *, flip: bool = False) -> torch.Tensor:
    """Return a random square of `size` pixels of each image, which is padded by `padding` mirrored pixels.

    With `flip`, half of them are mirrored horizontally.
    """
    side = uncropped.shape[-1]
    if size == side and not padding and not flip:
        return uncropped
    # One gather crops, pads and flips, without copies of the batch.
    rows, columns = (rng.integers(side + 2 * padding - size + 1, 2, 1) - padding).transpose(0, 1) + torch.arange(size)
    rows, columns = (side - 1 - (side - 1 - picked.abs()).abs() for picked in (rows, columns))
    if flip:
        columns = torch.where(rng.uniform(1) < 0.5, columns.flip(-1), columns)
    picked = (rows[:, :, None] * side + columns[:, None, :]).flatten(1).to(uncropped.device)
    channels = uncropped.shape[1]
    cropped: torch.Tensor = uncropped.flatten(2).gather(2, picked[:, None].expand(-1, channels, -1))
    return cropped.view(len(uncropped), channels, size, size)


def color(pixels: torch.Tensor, strength: float, rng: AugmentationRng) -> torch.Tensor:
    """Scale brightness, contrast and saturation of each image by factors from 1 - strength to 1 + strength."""
    factors = 1 + strength * (2 * rng.uniform(3, 1, 1, 1) - 1)
    brightness, contrast, saturation = factors.to(pixels.device).unbind(dim=1)
    values: torch.Tensor = pixels.float() * brightness
    middle = values.mean(dim=(1, 2, 3), keepdim=True)
    values = middle + (values - middle) * contrast
    gray = values.mean(dim=1, keepdim=True)
    values = gray + (values - gray) * saturation
    return rounded(values)


def quarter_turns(pixels: torch.Tensor, rng: AugmentationRng) -> torch.Tensor:
    """Turn each image by 0, 90, 180 or 270 degrees, each with the same probability."""
    turns = rng.integers(4)
    turned = pixels.clone()
    for count in (1, 2, 3):
        rows = (turns == count).nonzero().flatten().to(pixels.device)
        turned[rows] = pixels[rows].rot90(count, (-2, -1))
    return turned


def tint(pixels: torch.Tensor, strength: float, rng: AugmentationRng) -> torch.Tensor:
    """Scale red, green and blue of each image by factors from 1 - strength to 1."""
    factors = 1 - strength * rng.uniform(3, 1, 1)
    return rounded(pixels.float() * factors.to(pixels.device))


def gray(pixels: torch.Tensor, probability: float, rng: AugmentationRng) -> torch.Tensor:
    """Remove the colors of each image with this probability."""
    chosen = (rng.uniform(1, 1, 1) < probability).to(pixels.device)
    return torch.where(chosen, luminance(pixels), pixels)


def invert(pixels: torch.Tensor, probability: float, rng: AugmentationRng) -> torch.Tensor:
    """Replace each image by its negative with this probability."""
    chosen = (rng.uniform(1, 1, 1) < probability).to(pixels.device)
    return torch.where(chosen, 255 - pixels, pixels)


def cutout(batch: torch.Tensor, side: int, rng: AugmentationRng) -> torch.Tensor:
    """Set a random square of `side` pixels of each image to the mean color, 0; the square may cross the edges."""
    size = batch.shape[-1]
    centers = rng.integers(size, 2, 1).transpose(0, 1)
    rows, columns = ((torch.arange(size) - centers + side // 2) // side == 0).to(batch.device)
    return batch.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def mixup(
    batch: torch.Tensor, targets: torch.Tensor, alpha: float, rng: AugmentationRng
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image and target with those of another local image, with one proportion for the batch."""
    # Beta(alpha, alpha) as a ratio of Gamma variates: torch.distributions cannot be given a generator.
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), rng.seed)
    total = float(gammas.sum())
    share = float(gammas[0]) / total if total > 0 else 1.0
    share = max(share, 1 - share)
    other = torch.randperm(len(batch), generator=rng.seed).to(batch.device)
    return torch.lerp(batch[other], batch, share), torch.lerp(targets[other], targets, share)


def shrink(batch: torch.Tensor, size: int) -> torch.Tensor:
    """Resize images to `size` x `size` pixels: float32 (N, 3, H, W) -> (N, 3, size, size)."""
    return functional.interpolate(batch, size=(size, size), mode="bilinear", antialias=True)
