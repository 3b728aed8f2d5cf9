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
# Gray is the sum of three colors, so its unit is three times as large.
_UNITS = np.array([[255.0 if kind == "colors" else 3 * 255.0] for kind in STATISTICS.values()])
_LOGS = np.array([name.startswith("log") for name in STATISTICS])


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

    NumPy starts an operation in a third of torch's time, and sorts eight times as fast. Of a small image, starting
    operations takes most of the time, so values with the same reduction share an array.
    """
    red, green, blue = planes = _planes(rows)
    levels = np.empty((4, *red.shape), np.float32)
    gray, warm, cold, saturation = levels
    np.add(red, green, out=gray)
    gray += blue  # 0 to 765
    np.subtract(red, green, out=warm)
    np.subtract(green, blue, out=cold)
    np.subtract(np.maximum.reduce(planes), np.minimum.reduce(planes), out=saturation)
    middle = gray[:, :, 1:-1, 1:-1]
    differences = np.empty((3, *middle.shape), np.float32)
    across, down, laplacian = differences
    np.subtract(middle, gray[:, :, 1:-1, :-2], out=across)
    np.subtract(middle, gray[:, :, :-2, 1:-1], out=down)
    np.subtract(gray[:, :, 1:-1, 2:] + gray[:, :, 2:, 1:-1], middle + middle, out=laplacian)
    laplacian -= across
    laplacian -= down
    np.abs(differences, out=differences)
    count = len(gray)
    edges = (gray[:, 0, 0], gray[:, -1, -1], gray[..., 0].reshape(count, -1), gray[..., -1].reshape(count, -1))
    border = _means(np.concatenate(edges, axis=1))
    quantiles = _quantiles(gray.reshape(count, -1))
    flat = levels.reshape(4, count, -1)
    means = _means(flat)
    flat -= means[..., None]
    deviations = np.sqrt(_means(np.square(flat[:3], out=flat[:3])))
    sharpness = _means(differences.reshape(3, count, -1))
    statistics = np.empty((len(STATISTICS), count))
    statistics[:] = (
        means[0],
        *quantiles,
        border,
        deviations[0],
        means[1],
        means[2],
        deviations[1],
        deviations[2],
        means[3],
        *sharpness,
    )
    statistics /= _UNITS
    statistics[_LOGS] = np.log(statistics[_LOGS] + OFFSET)
    return statistics.T


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
    """Return the means over the last dimension, float32."""
    means: np.ndarray = np.add.reduce(values, axis=-1) / np.float32(values.shape[-1])
    return means


def _quantiles(gray: np.ndarray) -> np.ndarray:
    """Return the quantiles of each gray image (N, pixels), of evenly spread pixels, float32 (quantiles, N)."""
    # An odd step visits every column of an image whose width is even.
    ordered = np.sort(gray[:, :: max(1, gray.shape[1] // _SORTED) | 1], axis=1)
    last = ordered.shape[1] - 1
    return ordered[:, [round(share * last) for share in _QUANTILES]].T
