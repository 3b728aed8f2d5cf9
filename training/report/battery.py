"""Rows of the battery's table on the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from training.metrics.battery import Battery, SetFigures

# Pixels of an example's side. Larger ones are reduced: the page shows them small.
SIDE = 96


def rows(battery: Battery) -> list[tuple[SetFigures, str]]:
    """Return the figures of each set, and the URL of its example as PNG."""
    return [(entry, _url(example)) for entry, example in zip(battery.sets, battery.examples, strict=True)]


def _url(example: torch.Tensor) -> str:
    image = Image.fromarray(np.ascontiguousarray(example.permute(1, 2, 0).numpy()))
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
