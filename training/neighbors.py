"""Training images in a release. Explanations show the nearest ones, and GradientSHAP compares with some of them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import torch
from PIL import Image
from torch.nn import functional

from handlers.explain.evidence.neighbors import EMBEDDINGS, ENDS, LABELS, THUMBNAILS
from handlers.modalities.image import images
from models.card import Input
from training.data.dataset import RawImage, Split

MOST = 5_000
# Maximum bytes of all embeddings. Thumbnails take about half a kilobyte each, 2.5 MB at most.
EMBEDDING_BYTES = 5_500_000
THUMBNAIL_SIDE = 48
# Quality of WebP. A JPEG of this size would consist mostly of its tables.
QUALITY = 75


def tensors(
    split: Split, spec: Input, embeddings: torch.Tensor, seed: int = 0, max_images: int = MOST
) -> dict[str, torch.Tensor]:
    """Return the tensors of neighbors.safetensors; see handlers.explain.evidence.neighbors.Neighbors.

    Args:
        embeddings: of all images of the split, in order, (N, D).
        seed: of the choice, where there are more images than are taken.
        max_images: images that are taken, fewer where their embeddings would be too large.
    """
    count = min(max_images, EMBEDDING_BYTES // (2 * embeddings.shape[1]))
    chosen = choice(split.labels, count, seed)
    thumbnails = [thumbnail(split.images[row], spec) for row in chosen]
    return {
        EMBEDDINGS: functional.normalize(embeddings[chosen].float(), dim=1).half(),
        LABELS: torch.tensor([split.labels[row] for row in chosen], dtype=torch.int32),
        THUMBNAILS: torch.frombuffer(bytearray(b"".join(thumbnails)), dtype=torch.uint8),
        ENDS: torch.tensor([len(content) for content in thumbnails]).cumsum(dim=0),
    }


def choice(labels: Sequence[int], count: int, seed: int) -> list[int]:
    """Return at most `count` rows, in order, with the classes in proportion. Rare classes get at least one row."""
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).tolist()
    sizes, before = Counter(labels), Counter[int]()
    turns: list[tuple[float, int]] = []
    for row in shuffled:
        turns.append((before[labels[row]] / sizes[labels[row]], row))
        before[labels[row]] += 1
    return sorted(row for _, row in sorted(turns, key=lambda turn: turn[0])[:count])


def thumbnail(picture: RawImage, spec: Input) -> bytes:
    """Return the network's view of an image as a WebP, at most THUMBNAIL_SIDE pixels on its long side."""
    small = images.view(images.picture(picture, spec), spec).image
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
