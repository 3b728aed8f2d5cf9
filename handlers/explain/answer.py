"""Explain requests: target, attribution by method for the whole batch, evidence and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from handlers.engine import Engine
from handlers.errors import BadOption
from handlers.explain import METHODS, overlay
from models.card import Card


@dataclass(frozen=True, slots=True)
class Target:
    """The class that is explained, and why it is this one."""

    index: int
    why: str  # predicted | asked


@dataclass(slots=True)
class Explained:
    """Why one image was answered so.

    Attributes:
        fields: what the answer says in words and numbers.
        heat: the signed map, float32 (size, size) of the network's input.
        picture: the image to lay it over.
    """

    fields: dict[str, Any]
    heat: np.ndarray
    picture: Image.Image
    drawn: bytes = b""

    def overlay(self) -> bytes:
        """The map laid over the picture, as PNG; drawn once."""
        self.drawn = self.drawn or overlay.png(self.picture, self.heat)
        return self.drawn


def choose_target(asked: str | None, predicted: int, card: Card) -> Target:
    """The class to explain: the predicted one, or the one asked for by label or else by index.

    Raises:
        BadOption: the model has no such class.
    """
    if asked is None:
        return Target(predicted, "predicted")
    if asked in card.classes:
        return Target(card.classes.index(asked), "asked")
    if asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) < len(card.classes):
        return Target(int(asked), "asked")
    labels = ", ".join(card.classes[:20]) + (", ..." if len(card.classes) > 20 else "")
    raise BadOption(
        f"target {asked!r:.60} does not exist: the labels are {labels}, the indices 0 to {len(card.classes) - 1}"
    )


def check_method(method: str) -> None:
    """Raises BadOption where there is no such method, naming those there are."""
    if method not in METHODS:
        raise BadOption(f"method {method!r:.60} does not exist: there is {', '.join(METHODS)}")


def explain(
    engine: Engine,
    batch: torch.Tensor,
    pictures: Sequence[Image.Image],
    targets: Sequence[Target],
    method: str,
    classes: Sequence[str],
) -> list[Explained]:
    """Explain N images with one method.

    Args:
        batch: the normalised images, (N, 3, size, size).
        pictures: the same images as they came, for the overlay.
    """
    indices = torch.tensor([target.index for target in targets], device=batch.device)
    attribution = METHODS[method](engine.network, batch, indices)
    found = []
    for row, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        fields = {
            "method": method,
            "target": {"label": classes[target.index], "index": target.index, "why": target.why},
            **attribution.parameters,
            "f_x": round(float(attribution.f_x[row]), 6),
            "f_baseline": round(float(attribution.f_baseline[row]), 6),
            "completeness": attribution.completeness(row),
        }
        found.append(Explained(fields, attribution.heat(row).cpu().numpy(), picture))
    return found
