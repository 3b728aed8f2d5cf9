"""Which method a release explains by unless asked otherwise, and where that is written down."""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.card import FILE_NAME, Card
from training.explanations.figures import Measured, MethodFigures

# Differences of the gap below it are noise.
NOISE = 0.02
DIGITS = 4


def choose(measured: Measured) -> MethodFigures:
    """The cheapest of the methods that are sound and within NOISE of the best gap among the sound ones.

    Cheap is what takes few passes, which is the same on every machine. Where none is sound, of all; the findings then
    say so.
    """
    candidates = [one for one in measured.methods if one.sound] or list(measured.methods)
    best = max(one.gap.value for one in candidates)
    return min((one for one in candidates if one.gap.value >= best - NOISE), key=lambda one: one.passes)


def adopt(folder: Path, measured: Measured, layer: str | None) -> Card:
    """Write the choice and the gaps of all methods into the card of the release in `folder`; returns the new card.

    Args:
        layer: that class activation maps were taken from.

    Raises:
        OSError: it cannot be written; the old card is still whole.
    """
    card = Card.load(folder)
    gaps = {one.name: round(one.gap.value, DIGITS) for one in measured.methods}
    changes = {"method": choose(measured).name, "faithfulness": gaps, "layer": layer}
    card = card.model_copy(update={"explanations": card.explanations.model_copy(update=changes)})
    with tempfile.TemporaryDirectory(prefix=".card-", dir=folder) as draft:
        card.save(draft)
        (Path(draft) / FILE_NAME).rename(folder / FILE_NAME)
    return card
