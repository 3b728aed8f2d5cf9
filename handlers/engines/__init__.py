"""Engines: they compute logits and embeddings from pixels.

The engine `eager` runs the network as it was trained, in float32. The compiled engines were made from it
(`make optimize`) and passed a gate. All take the same pixels, and normalize them.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from models.card import EAGER as EAGER

logger = logging.getLogger(__name__)

# Rows in one pass through the network: bounds the memory that one request with many images can take.
MAX_ROWS = 64
# Exceptions of Python and of devices without memory. Torch's CPU allocator has no class of its own.
OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)
CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"


class EngineError(ValueError):
    """An engine cannot be loaded: its file is missing or damaged, or not for this card or this machine."""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether the error means that no memory is left, on any device."""
    return isinstance(error, OUT_OF_MEMORY) or (isinstance(error, RuntimeError) and CPU_OUT_OF_MEMORY in str(error))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs of the network for N images.

    Attributes:
        logits: float32 (N, classes).
        embeddings: float32 (N, D), the head's input.
        statistics: of the input's pixels, float64 (N, K), if they were computed (handlers/uncertainty/observation.py).
    """

    logits: torch.Tensor
    embeddings: torch.Tensor
    statistics: torch.Tensor | None = None

    @classmethod
    def cat(cls, chunks: Sequence[Outputs]) -> Outputs:
        """Return the outputs of several chunks as one."""
        statistics = [chunk.statistics for chunk in chunks if chunk.statistics is not None]
        return cls(
            torch.cat([chunk.logits for chunk in chunks]),
            torch.cat([chunk.embeddings for chunk in chunks]),
            torch.cat(statistics) if len(statistics) == len(chunks) else None,
        )

    def cpu(self) -> Outputs:
        """Return the outputs on the CPU."""
        return Outputs(self.logits.cpu(), self.embeddings.cpu(), self.statistics)


class Engine(ABC):
    """Base of all engines, on one device. Responses name the engine by `name`."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.max_rows = MAX_ROWS

    @abstractmethod
    def run(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and embeddings of uint8 (N, 3, size, size) on the engine's device; N is at most MAX_ROWS."""

    def outputs(self, pixels: torch.Tensor) -> Outputs:
        """Return the outputs of uint8 (N, 3, size, size), computed at most `max_rows` at a time.

        If memory runs out, `max_rows` is halved for good, and the rows are tried again.

        Raises:
            Exception: whatever the network raises; out of memory only if there is not enough for one row.
        """
        chunks: list[tuple[torch.Tensor, torch.Tensor]] = []
        first = 0
        while first < len(pixels):
            rows = pixels[first : first + self.max_rows]
            try:
                with torch.inference_mode():
                    chunks.append(self.run(rows.to(self.device)))
            except Exception as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                self.max_rows = len(rows) // 2
                logger.warning("out of memory with %d images in one pass: %d from now on", len(rows), self.max_rows)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                first += len(rows)
        if len(chunks) == 1:
            return Outputs(*chunks[0])
        logits, embeddings = zip(*chunks, strict=True)
        return Outputs(torch.cat(logits), torch.cat(embeddings))

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits of `outputs`, with the same exceptions."""
        return self.outputs(pixels).logits

    def check_shapes(self, size: int, classes: int) -> None:
        """Run one blank image. An engine that loads may still be for another input or other classes than the card's.

        Raises:
            EngineError: the input or the number of classes differs.
        """
        try:
            shape = self.logits(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise EngineError(
                f"the network does not take the card's input of {size} x {size} pixels: {first}"
            ) from None
        if shape != (1, classes):
            raise EngineError(f"the network answers {shape[-1]} classes, and the card names {classes}")
