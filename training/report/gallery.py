"""Images of a sample beside the maps of all methods."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from handlers.explain.registry import METHODS
from handlers.explain.rendering import overlay
from handlers.explain.rendering.legend import Caption, Class
from handlers.explain.rendering.overlay import Style
from handlers.modalities.image import images
from training.explanations.sample import Sample

ROWS = 10
# Of these, how many may be answered wrongly.
WRONG = 3
# Pixels of the long side of an image in the gallery.
SIDE = 224


@dataclass(frozen=True, slots=True)
class Row:
    """One image, and what each method shows on it.

    Attributes:
        image: what the network saw, PNG.
        overlays: by method, PNG, each a pixel for one of the network's input.
        probability: of the answer.
    """

    name: str
    image: bytes
    overlays: Mapping[str, bytes]
    labeled: str
    answered: str
    probability: float


def places(sample: Sample, most: int = ROWS) -> list[int]:
    """Which images are shown: right ones, of as many classes as may be, then some that were answered wrongly."""
    right = sample.test.right.tolist()
    wrong = [place for place, one in enumerate(right) if not one][:WRONG]
    turns: dict[int, int] = {}
    ranked = []
    for place, label in enumerate(sample.pictures.labels):
        if right[place]:
            turns[label] = turns.get(label, 0) + 1
            ranked.append((turns[label], place))
    return sorted([place for _, place in sorted(ranked)[: most - len(wrong)]]) + wrong


def rows(sample: Sample, maps: Mapping[str, torch.Tensor], shown: Sequence[int]) -> list[Row]:
    """The rows of the images at places `shown`; `maps` are (N, H, W) by method."""
    card = sample.test.card
    probabilities = sample.test.probabilities
    found = []
    for place in shown:
        seen = images.view(images.picture(sample.pictures.images[place], card.input), card.input).image
        answered = int(sample.test.answered[place])
        overlays = {
            name: overlay.overlay(
                seen,
                heats[place].cpu().numpy(),
                Caption(METHODS[name].title, Class(answered, card.classes[answered])),
                Style(resolution="model"),
            )
            for name, heats in maps.items()
        }
        seen.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        seen.save(buffer, "PNG")
        found.append(
            Row(
                name=sample.pictures.name(place),
                image=buffer.getvalue(),
                overlays=overlays,
                labeled=card.classes[sample.pictures.labels[place]],
                answered=card.classes[answered],
                probability=float(probabilities[place, answered]),
            )
        )
    return found
