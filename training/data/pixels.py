"""Changes of pixels that both the battery and the augmentation need: uint8 (N, 3, S, S) -> the same."""

from __future__ import annotations

import torch

# Weights of red, green and blue in the luminance of Rec. ITU-R BT.601, as in Pillow's gray images.
LUMINANCE = (0.299, 0.587, 0.114)
# Standard deviations below this many pixels blur nothing that 8 bits can show.
SHARP = 0.1


def luminance(pixels: torch.Tensor) -> torch.Tensor:
    """Return the luminance in all three channels."""
    weights = torch.tensor(LUMINANCE, device=pixels.device).view(1, 3, 1, 1)
    return rounded((pixels.float() * weights).sum(dim=1, keepdim=True)).expand_as(pixels).contiguous()


def gaussian_blur(pixels: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
    """Return images blurred by a Gaussian; pixels beyond the edges are mirrored.

    Args:
        deviations: standard deviation for each image in pixels, on the CPU: float32 (N,).
    """
    if not len(pixels):
        return pixels
    smoothing = _gaussians(deviations, pixels.shape[-1])[:, None].to(pixels.device)
    return rounded(smoothing @ pixels.float() @ smoothing.transpose(2, 3))


def _gaussians(deviations: torch.Tensor, side: int) -> torch.Tensor:
    """Return the matrices (N, side, side) that blur one axis. At large sizes they are faster than a convolution."""
    deviations = deviations.clamp(min=SHARP)
    reach = min(max(1, round(3 * float(deviations.max()))), side - 1)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / deviations[:, None]) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    columns = side - 1 - (side - 1 - (torch.arange(side)[:, None] + offsets).abs()).abs()
    matrices = torch.zeros(len(deviations), side, side)
    count = len(deviations)
    return matrices.scatter_add_(2, columns.expand(count, -1, -1), weights[:, None].expand(-1, side, -1))


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Return values as pixels: rounded and clipped to uint8."""
    return values.round().clamp(0, 255).to(torch.uint8)
