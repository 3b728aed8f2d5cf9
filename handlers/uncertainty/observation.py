"""Observation of images: the network's outputs, and the statistics of its input."""

from __future__ import annotations

from dataclasses import replace

import torch

from handlers.engines import Engine, Outputs
from handlers.modalities.image.pixel_statistics import pixel_statistics


def observe(engine: Engine, pixels: torch.Tensor) -> Outputs:
    """Return the engine's outputs and the pixel statistics of images, uint8 (N, 3, size, size).

    Raises:
        Exception: whatever the network raises; see Engine.outputs.
    """
    return replace(engine.outputs(pixels), statistics=pixel_statistics(pixels))
