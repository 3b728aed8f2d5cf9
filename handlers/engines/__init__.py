"""The network at work: pixels -> logits and embeddings.

An engine is one way of computing them: `eager` runs the network as it was trained, in float32; the others are programs
that were compiled from it (`make optimize`) and passed a gate. All take the same pixels, and normalize by themselves.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from models.card import EAGER as EAGER

logger = logging.getLogger(__name__)

# Rows in one pass through the network: bounds the memory that one request with many images can take.
MAX_ROWS = 64
# What Python and the devices raise where there is no memory left; torch's CPU allocator has no class for it.
OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)
CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"


class EngineError(ValueError):
    """An engine cannot be had: its file is missing or damaged, or is not for this card or this machine."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether it says that no memory is left, on whatever device."""
    return isinstance(error, OUT_OF_MEMORY) or (isinstance(error, RuntimeError) and CPU_OUT_OF_MEMORY in str(error))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network makes of N images: float32 logits (N, classes), and embeddings (N, D), the head's input."""

    logits: torch.Tensor
    embeddings: torch.Tensor


class Engine(ABC):
    """One way of computing what a network makes of images, on one device; `name` is what answers call it."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.max_rows = MAX_ROWS

    @abstractmethod
    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (N, 3, size, size) on its device, at most MAX_ROWS of them -> logits and embeddings as in Outputs."""

    def outputs(self, pixels: torch.Tensor) -> Outputs:
        """uint8 (N, 3, size, size) -> logits and embeddings, at most `max_rows` at a time.

        Out of memory halves `max_rows`, for good, and tries again.

        Raises:
            Exception: what the network raises; for want of memory only if there is not enough for one row.
        """
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        first = 0
        while first < len(pixels):
            rows = pixels[first : first + self.max_rows]
            try:
                with torch.inference_mode():
                    found.append(self.run(rows.to(self.device)))
            except Exception as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                self.max_rows = len(rows) // 2
                logger.warning("out of memory with %d images in one pass: %d from now on", len(rows), self.max_rows)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                first += len(rows)
        if len(found) == 1:
            return Outputs(*found[0])
        logits, embeddings = zip(*found, strict=True)
        return Outputs(torch.cat(logits), torch.cat(embeddings))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """The logits of `outputs`, with what it raises."""
        return self.outputs(pixels).logits

    def check_shapes(self, size: int, classes: int) -> None:
        """One blank image: what loads may still be for another input or other classes than a card's.

        Raises:
            EngineError: it is.
        """
        try:
            found = self.logits(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise EngineError(
                f"the network does not take the card's input of {size} x {size} pixels: {first}"
            ) from None
        if found != (1, classes):
            raise EngineError(f"the network answers {found[-1]} classes, and the card names {classes}")
