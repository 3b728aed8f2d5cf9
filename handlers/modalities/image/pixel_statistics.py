"""Statistics of a network's input that change with another camera, stain or screen: colors, brightness, sharpness.

A network that was trained to tell classes apart may ignore them. Then its embedding does not show that they changed.
"""

from __future__ import annotations

import numpy as np
import torch

# Name of each statistic, and which of the three it describes. Shares of 255; `log` is ln(value + OFFSET).
STATISTICS: dict[str, str] = {
    "mean": "brightness",
    "2 % quantile": "brightness",
    "median": "brightness",
    "98 % quantile": "brightness",
    "mean of the border": "brightness",
    "log deviation": "brightness",
    "red minus green": "colors",
    "green minus blue": "colors",
    "log deviation of red minus green": "colors",
    "log deviation of green minus blue": "colors",
    "log saturation": "colors",
    "log horizontal difference": "sharpness",
    "log vertical difference": "sharpness",
    "log Laplacian": "sharpness",
}
# Keeps the logarithm of a flat or gray image finite. Smaller values than this are rounding and compression.
OFFSET = 0.01
# Of a larger image, strips of three rows are enough. Three rows are the height of the Laplacian.
_ALL_ROWS, _STRIPS, _STRIP_ROWS = 72, 24, 3
# Pixels of an image that its quantiles are taken of, or up to twice as many.
_SORTED = 256
# Pixels that are computed on at once, which fit into a processor's cache.
_CHUNK = 10_000
_QUANTILES = (0.02, 0.5, 0.98)


def pixel_statistics(pixels: torch.Tensor) -> torch.Tensor:
    """Return the statistics of each image, float64 (N, len(STATISTICS)), on the CPU.

    Args:
        pixels: uint8 (N, 3, size, size).
    """
    rows = pixels.cpu().permute(0, 2, 3, 1).numpy()  # contiguous, as they come from the decoder
    step = max(1, _CHUNK // (rows.shape[1] * rows.shape[2]))
    parts = [_statistics(rows[start : start + step]) for start in range(0, len(rows), step)]
    return torch.from_numpy(np.concatenate(parts))


def _statistics(rows: np.ndarray) -> np.ndarray:
    """Return the statistics of images (N, size, size, 3).

    NumPy starts an operation in a third of torch's time, and sorts eight times as fast.
    """
    red, green, blue = planes = _planes(rows)
    gray = red + green
    gray += blue  # 0 to 765
    levels = np.stack((gray, red - green, green - blue))
    means = _means(levels)
    levels -= means[..., None, None, None]
    deviations = np.sqrt(_means(np.square(levels, out=levels)))
    saturation = _means(np.maximum.reduce(planes) - np.minimum.reduce(planes))
    across, down = gray[..., 1:] - gray[..., :-1], gray[:, :, 1:] - gray[:, :, :-1]
    laplacian = across[:, :, 1:-1, 1:] - across[:, :, 1:-1, :-1]
    laplacian += down[:, :, 1:, 1:-1]
    laplacian -= down[:, :, :-1, 1:-1]
    edges = (gray[:, 0, 0], gray[:, -1, -1], gray[..., 0], gray[..., -1])
    border = sum(_means(edge) for edge in edges) / len(edges)
    differences = [_means(np.abs(difference, out=difference)) for difference in (across, down, laplacian)]
    grays = (means[0], *_quantiles(gray), border, deviations[0], *differences)
    of_gray = np.array(grays, np.float64) / (3 * 255)
    of_colors = np.array((means[1], means[2], deviations[1], deviations[2], saturation), np.float64) / 255
    of_gray[5:] = np.log(of_gray[5:] + OFFSET)
    of_colors[2:] = np.log(of_colors[2:] + OFFSET)
    return np.concatenate((of_gray[:6], of_colors, of_gray[6:])).T


def _planes(rows: np.ndarray) -> np.ndarray:
    """Return red, green and blue of the rows to look at, float32 (3, N, strips, rows, size).

    A small image is one strip.
    """
    height = rows.shape[1]
    if height > _ALL_ROWS:
        first = np.linspace(0, height - _STRIP_ROWS, _STRIPS).round().astype(int)
        strips = rows[:, first[:, None] + np.arange(_STRIP_ROWS)]
    else:
        strips = rows[:, None]
    return np.ascontiguousarray(strips.transpose(4, 0, 1, 2, 3)).astype(np.float32)


def _means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each image, float32 (..., N), of (..., N, strips, rows, size) or of its edges."""
    leading = values.ndim - 3 if values.ndim > 3 else 1
    flat = values.reshape(*values.shape[:leading], -1)
    means: np.ndarray = np.add.reduce(flat, axis=-1) / np.float32(flat.shape[-1])
    return means


def _quantiles(gray: np.ndarray) -> list[np.ndarray]:
    """Return the quantiles of each gray image, each float32 (N,), of evenly spread pixels of it."""
    flat = gray.reshape(len(gray), -1)
    # An odd step visits every column of an image whose width is even.
    ordered = np.sort(flat[:, :: max(1, flat.shape[1] // _SORTED) | 1], axis=1)
    last = ordered.shape[1] - 1
    return [ordered[:, round(share * last)] for share in _QUANTILES]
