"""The module that is compiled: pixels -> logits and embeddings, normalization included."""

from __future__ import annotations

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, export

from handlers.engines import MAX_ROWS
from models.architectures import Network
from models.card import Input

# Rows of the batch that is traced; any number from 1 to MAX_ROWS may come later.
TRACED_ROWS = 8


class FromPixels(nn.Module):
    """A network with uint8 pixels (N, size, size, 3) as input, as decoders return them.

    Returns float32 logits (N, classes) and embeddings (N, D), whatever the number format of the network.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: Network, spec: Input, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype
        mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
        # (pixel / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        images = pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift
        embeddings = self.network.embed(images.to(self.dtype))
        return self.network.head(embeddings).float(), embeddings.float()


def traced(module: nn.Module, size: int, device: torch.device) -> ExportedProgram:
    """Return the module as a graph for batches of 1 to MAX_ROWS images of `size` x `size` pixels."""
    pixels = torch.zeros(TRACED_ROWS, size, size, 3, dtype=torch.uint8, device=device)
    with torch.no_grad():
        return export(module, (pixels,), dynamic_shapes=({0: Dim("rows", min=1, max=MAX_ROWS)},))
