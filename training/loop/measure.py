"""Loss and accuracy on a split as served: center crop, no augmentation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from handlers.modalities.image import images
from models.card import Input
from training.loop.distributed import World
from training.loop.loader import CHUNK, BatchSource


def served(source: BatchSource, spec: Input, world: World | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield chunks of row numbers and their network input: float32 (rows, 3, spec.size, spec.size).

    Each process gets its share of the split.
    """
    for rows, pixels in seen(source, spec, world):
        yield rows, images.normalize(pixels, spec)


def seen(source: BatchSource, spec: Input, world: World | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the same chunks as uint8 pixels, the input of engines."""
    chunks = torch.split(torch.arange(len(source.labels)), CHUNK)
    if world is not None:
        chunks = chunks[world.rank :: world.size]
    for rows, uncropped in zip(chunks, source.batches(chunks), strict=True):
        yield rows, images.center_crop(uncropped, spec.size)


def measure(
    network: nn.Module,
    source: BatchSource,
    spec: Input,
    device: torch.device,
    layout: torch.memory_format,
    world: World,
) -> tuple[float, float]:
    """Return mean cross-entropy in nats and accuracy on a split, over all processes."""
    network.eval()
    loss, right, seen = 0.0, 0.0, 0
    with torch.inference_mode():
        for rows, batch in served(source, spec, world):
            logits = network(batch.contiguous(memory_format=layout))
            labels = source.labels[rows.to(device)]
            loss += functional.cross_entropy(logits, labels, reduction="sum").item()
            right += float((logits.argmax(dim=1) == labels).sum())
            seen += len(rows)
    loss, right, count = world.total([loss, right, seen], device)
    return loss / count, right / count
