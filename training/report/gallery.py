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
class GalleryRow:
    """One image, with the overlay of each method.

    Attributes:
        image: the network's input, as PNG.
        overlays: PNG by method, with one pixel for each pixel of the network's input.
        probability: of the predicted class.
    """

    name: str
    image: bytes
    overlays: Mapping[str, bytes]
    labeled: str
    answered: str
    probability: float


def places(sample: Sample, max_rows: int = ROWS) -> list[int]:
    """Return the indices of the images to show: correct ones of many classes, then some wrong ones."""
    right = sample.test.right.tolist()
    wrong = [index for index, is_right in enumerate(right) if not is_right][:WRONG]
    turns: dict[int, int] = {}
    ranked = []
    for index, label in enumerate(sample.pictures.labels):
        if right[index]:
            turns[label] = turns.get(label, 0) + 1
            ranked.append((turns[label], index))
    return sorted([index for _, index in sorted(ranked)[: max_rows - len(wrong)]]) + wrong


def rows(sample: Sample, maps: Mapping[str, torch.Tensor], shown: Sequence[int]) -> list[GalleryRow]:
    """Return the rows of the images at the indices `shown`; `maps` are (N, H, W) by method."""
    card = sample.test.card
    probabilities = sample.test.probabilities
    gallery_rows = []
    for index in shown:
        seen = images.view(images.picture(sample.pictures.images[index], card.input), card.input).image
        answered = int(sample.test.answered[index])
        overlays = {
            name: overlay.overlay(
                seen,
                heats[index].cpu().numpy(),
                Caption(METHODS[name].title, Class(answered, card.classes[answered])),
                Style(resolution="model"),
            )
            for name, heats in maps.items()
        }
        seen.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        seen.save(buffer, "PNG")
        gallery_rows.append(
            GalleryRow(
                name=sample.pictures.name(index),
                image=buffer.getvalue(),
                overlays=overlays,
                labeled=card.classes[sample.pictures.labels[index]],
                answered=card.classes[answered],
                probability=float(probabilities[index, answered]),
            )
        )
    return gallery_rows
