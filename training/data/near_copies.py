"""Near copies: images that show the same although their pixels differ, such as a JPEG that was saved again.

A copy that was resized, compressed again, made gray, or given another brightness or contrast is found. One that was
cropped, mirrored or rotated is not. Near copies are reported and never removed, because images of simple things, such
as digits, can look alike without being copies.

Candidates share a perceptual hash but for MAX_DISTANCE bits: 64 signs of the lowest frequencies of a small gray
version, pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1; the same bits
as imagehash.phash). A candidate is a near copy if the small versions correlate too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from handlers.modalities.image.images import Picture

# Side of the small gray version, and the number of frequencies of each direction in the hash.
SIDE, FREQUENCIES = 32, 8
# Of the 64 bits. With a correlation of 0.99, few images have a false near copy: 0.1 % of digits of 28 pixels, and none
# of the blood cells, the photos and 6,000 images of CIFAR-10. Of JPEG copies of quality 50, 96 % or more are found. So
# are 99 % of cells and photos at half the size, but a third of those of CIFAR-10, which have 16 pixels then.
MAX_DISTANCE = 4
MIN_CORRELATION = 0.99
# Smaller images have too few pixels: 1 % of digits of 8 pixels would have a false near copy.
MIN_SIDE = 16
# Standard deviation, in gray values. What little a flatter image shows is noise.
MIN_CONTRAST = 4.0
# An image is thinned out to about so many pixels before it is made gray, since all pixels of a photo cost time.
THINNED_SIDE = 128
# Bounds of the work where very many images are alike, such as the frames of a fixed camera.
MAX_COMPARISONS = 50_000_000
MAX_CANDIDATES = 200_000
_CHUNK = 4_096


def thumbnail(picture: Picture, extent: tuple[int, int] = (0, 255)) -> bytes | None:
    """Return the small gray version of an image, uint8 (SIDE, SIDE); None if the image is too small to be compared.

    Args:
        picture: RGB or gray; or gray values of 16 bits, (H, W).
        extent: values of 16 bits that become black and white.
    """
    if isinstance(picture, np.ndarray):
        if (side := min(picture.shape[:2])) < MIN_SIDE:
            return None
        step = max(1, side // THINNED_SIDE)
        pixels = picture[::step, ::step]
        if pixels.dtype != np.uint8:
            low, high = extent
            pixels = ((pixels.astype(np.float32) - low) * (255 / max(1, high - low))).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(np.ascontiguousarray(pixels))
    else:
        if (side := min(picture.size)) < MIN_SIDE:
            return None
        step = max(1, side // THINNED_SIDE)
        image = picture.reduce(step) if step > 1 else picture
    gray = image if image.mode == "L" else image.convert("L")
    return gray.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0).tobytes()


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pHash of each small gray version, uint8 (N, SIDE, SIDE) -> uint64 (N,)."""
    cosines = np.cos(np.pi / (2 * SIDE) * np.outer(np.arange(FREQUENCIES), 2 * np.arange(SIDE) + 1))
    frequencies = (cosines @ thumbnails.astype(np.float64) @ cosines.T).reshape(len(thumbnails), -1)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of near copies.

    Attributes:
        rows: (P, 2) indices of the images, the lower one first, without repetition.
        complete: False if there are so many candidates that not all were compared.
    """

    rows: np.ndarray
    complete: bool


def find(thumbnails: Sequence[bytes | None]) -> Pairs:
    """Return the pairs of near copies among images, given their `thumbnail`s."""
    rows = np.array([row for row, content in enumerate(thumbnails) if content is not None], np.int64)
    if len(rows) < 2:
        return Pairs(np.empty((0, 2), np.int64), True)
    small, hashes = [], []
    for start in range(0, len(rows), _CHUNK):
        content = b"".join(thumbnails[row] or b"" for row in rows[start : start + _CHUNK])
        chunk = np.frombuffer(content, np.uint8).reshape(-1, SIDE, SIDE)
        small.append(chunk.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean((2, 4), dtype=np.float32).astype(np.float16))
        hashes.append(perceptual_hashes(chunk))
    versions = np.concatenate(small).reshape(len(rows), -1)
    # In float32, because float16 overflows in a sum.
    contrasts = np.concatenate([part.reshape(len(part), -1).astype(np.float32).std(axis=1) for part in small])
    with_contrast = np.flatnonzero(contrasts >= MIN_CONTRAST)
    candidates, complete = _candidates(np.concatenate(hashes)[with_contrast])
    candidates = with_contrast[candidates]
    near = np.concatenate(
        [
            _correlations(versions, candidates[start : start + _CHUNK]) >= MIN_CORRELATION
            for start in range(0, len(candidates), _CHUNK)
        ]
        or [np.empty(0, bool)]
    )
    return Pairs(rows[candidates[near]], complete)


def _candidates(hashes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the pairs whose hashes differ in at most MAX_DISTANCE bits, (P, 2), and whether all were compared.

    Of MAX_DISTANCE + 1 parts of two such hashes one is equal, so only hashes with an equal part are compared (Norouzi
    et al. 2012, "Fast Search in Hamming Space with Multi-Index Hashing").
    """
    edges = np.linspace(0, 64, MAX_DISTANCE + 2).astype(np.uint64)
    keys: list[np.ndarray] = []
    complete = True
    for start, end in itertools.pairwise(edges):
        part = (hashes >> start) & np.uint64(2 ** int(end - start) - 1)
        # Equal hashes are neighbors, so that the most similar images are compared even if not all are.
        order = np.lexsort((hashes, part))
        part, ordered = part[order], hashes[order]
        first, distance, compared, count = np.arange(len(hashes)), 0, 0, 0
        while True:
            distance += 1
            first = first[first < len(hashes) - distance]
            first = first[part[first] == part[first + distance]]
            if not len(first):
                break
            if compared > MAX_COMPARISONS or count > MAX_CANDIDATES:
                complete = False
                break
            compared += len(first)
            near = first[np.bitwise_count(ordered[first] ^ ordered[first + distance]) <= MAX_DISTANCE]
            count += len(near)
            first, second = order[near], order[near + distance]
            keys.append(np.minimum(first, second) * len(hashes) + np.maximum(first, second))
    unique = np.unique(np.concatenate(keys)) if keys else np.empty(0, np.int64)
    return np.stack(np.divmod(unique, max(1, len(hashes))), axis=1), complete


def _correlations(versions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of the two small versions of each pair; it ignores brightness and contrast."""
    first, second = (versions[pairs[:, side]].astype(np.float32) for side in (0, 1))
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    products = np.einsum("ij,ij->i", first, second)
    correlations: np.ndarray = products / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))
    return correlations
