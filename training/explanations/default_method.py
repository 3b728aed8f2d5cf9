"""Choice of the default method of a release, and its entry in the card."""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.card import FILE_NAME, Card
from training.explanations.figures import ExplanationFigures, MethodFigures

# Smaller differences of the gap are noise.
NOISE = 0.02
DIGITS = 4


def choose(figures: ExplanationFigures) -> MethodFigures:
    """Return the cheapest method that passes the checks and is within NOISE of the best gap of such methods.

    The cost is the number of passes, which is the same on all machines. If no method passes the checks, all methods are
    candidates, and the conclusions say so.
    """
    candidates = [method for method in figures.methods if method.passes_checks] or list(figures.methods)
    best = max(method.gap.value for method in candidates)
    return min((method for method in candidates if method.gap.value >= best - NOISE), key=lambda method: method.passes)


def write_to_card(folder: Path, figures: ExplanationFigures, layer: str | None) -> Card:
    """Write the default method and the gaps of all methods into the card of a release; return the new card.

    Args:
        folder: folder of the release.
        layer: the layer that class activation maps were taken from.

    Raises:
        OSError: the card cannot be written; the old card is unchanged.
    """
    card = Card.load(folder)
    gaps = {method.name: round(method.gap.value, DIGITS) for method in figures.methods}
    changes = {"method": choose(figures).name, "faithfulness": gaps, "layer": layer}
    card = card.model_copy(update={"explanations": card.explanations.model_copy(update=changes)})
    with tempfile.TemporaryDirectory(prefix=".card-", dir=folder) as draft:
        card.save(draft)
        (Path(draft) / FILE_NAME).rename(folder / FILE_NAME)
    return card
