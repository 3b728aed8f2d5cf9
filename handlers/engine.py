"""The network at work: a normalised batch -> logits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from models import architectures
from models.architectures import Network
from models.card import Card
from models.release import WEIGHTS

logger = logging.getLogger(__name__)

# Rows in one forward pass: bounds the memory that one request with many images can take.
MAX_ROWS = 64
# What Python and the devices raise where there is no memory left; torch's CPU allocator has no class for it.
OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)
CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: can't allocate memory"


class EngineError(ValueError):
    """The weights do not fit the architecture that the card names."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether it says that no memory is left, on whatever device."""
    return isinstance(error, OUT_OF_MEMORY) or (isinstance(error, RuntimeError) and CPU_OUT_OF_MEMORY in str(error))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network makes of N images: float32 logits (N, classes), and embeddings (N, D), the head's input."""

    logits: torch.Tensor
    embeddings: torch.Tensor


class Engine:
    """The eager float32 network of a card with its weights, in evaluation mode on one device."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self.max_rows = MAX_ROWS

    @classmethod
    def load(cls, folder: Path, card: Card, device: torch.device) -> Engine:
        """Build the card's architecture and fill it from `weights.safetensors` in `folder`.

        Raises:
            EngineError: the weights file is damaged or belongs to another architecture.
        """
        network = architectures.build(card.architecture.name, **card.architecture.arguments)
        path = folder / WEIGHTS
        try:
            network.load_state_dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise EngineError(f"{path}: cannot be read: {error}") from None
        except RuntimeError as error:
            first = " ".join(str(error).split())[:300]
            raise EngineError(f"{path}: does not fit architecture {card.architecture.name!r}: {first}") from None
        engine = cls(network, device)
        engine._check_shapes(card)
        return engine

    def _check_shapes(self, card: Card) -> None:
        """One blank image through the network: weights that load may still be for another input or other classes."""
        size, classes = card.input.size, len(card.classes)
        try:
            found = self.logits(torch.zeros(1, 3, size, size, device=self.device)).shape
        except RuntimeError as error:
            first = " ".join(str(error).split())[:200]
            raise EngineError(
                f"the network does not take the card's input of {size} x {size} pixels: {first}"
            ) from None
        if found != (1, classes):
            raise EngineError(f"the network answers {found[-1]} classes, and the card names {classes}")

    def outputs(self, batch: torch.Tensor) -> Outputs:
        """float32 (N, 3, size, size) -> logits and embeddings, at most `max_rows` at a time.

        Out of memory halves `max_rows`, for good, and tries again.

        Raises:
            Exception: what the network raises; for want of memory only if there is not enough for one row.
        """
        logits: list[torch.Tensor] = []
        embeddings: list[torch.Tensor] = []
        first = 0
        while first < len(batch):
            rows = batch[first : first + self.max_rows]
            try:
                with torch.inference_mode():
                    seen = self.network.embed(rows)
                    logits.append(self.network.head(seen))
                    embeddings.append(seen)
            except Exception as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                self.max_rows = len(rows) // 2
                logger.warning("out of memory with %d images in one pass: %d from now on", len(rows), self.max_rows)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                first += len(rows)
        return Outputs(torch.cat(logits), torch.cat(embeddings))

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """The logits of `outputs`, with what it raises."""
        return self.outputs(batch).logits
