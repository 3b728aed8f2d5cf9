"""Advice on augmentation: the changes that a model is blind to, and the recipe's switch for each.

A model is blind to a change if it predicts significantly fewer of the changed images correctly. The test is paired: it
counts only images whose prediction becomes right or wrong (McNemar 1947, Psychometrika 12:153, exact).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy.stats import binomtest

from training.battery.changes import BLUR, CHANGES
from training.metrics.battery import Battery, SetFigures
from training.metrics.interval import Share

# Chance of any wrong advice, over all changes together (Bonferroni).
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """A change that the model is blind to.

    Attributes:
        name: name of the battery's set.
        title: its name for people.
        accuracy: share of right predictions under the change.
        unchanged: share of right predictions for the same images as they are.
        accepted: share of the predictions under the change that are accepted; None if the card has no `uncertainty`.
        switch: recipe value to set, such as "augmentation.flip=true"; None if the recipe has no switch for it.
        is_on: True if the recipe had that switch on already.
    """

    name: str
    title: str
    accuracy: Share
    unchanged: Share
    accepted: Share | None
    switch: str | None
    is_on: bool


def blind_spots(battery: Battery, size: int, recipe: Mapping[str, Any] | None = None) -> tuple[BlindSpot, ...]:
    """Return the changes that the model is blind to, the largest loss first.

    Args:
        size: side of the network's input in pixels.
        recipe: recipe of the release, to tell which switches are on.
    """
    unchanged = battery.unchanged.accuracy
    assert unchanged is not None, "the user's images have labels"
    augmentation = (recipe or {}).get("augmentation") or {}
    changes = {change.name for change in CHANGES}
    spots = []
    for figures in battery.sets:
        if figures.name in changes and figures.accuracy is not None and _is_lower(figures):
            key, value = _switch(figures.name, size)
            spots.append(
                BlindSpot(
                    name=figures.name,
                    title=figures.title,
                    accuracy=figures.accuracy,
                    unchanged=unchanged,
                    accepted=figures.accepted,
                    switch=f"augmentation.{key}={value}" if key else None,
                    is_on=bool(key and augmentation.get(key)),
                )
            )
    return tuple(sorted(spots, key=lambda spot: spot.accuracy.value))


def _is_lower(figures: SetFigures) -> bool:
    """Return whether significantly more images were lost than gained."""
    lost, gained = figures.lost or 0, figures.gained or 0
    if not lost:
        return False
    p_value = float(binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue)
    return p_value < SIGNIFICANCE / len(CHANGES)


def _switch(name: str, size: int) -> tuple[str, str]:
    """Return key and value of the augmentation for a change; two empty texts if there is none."""
    match name:
        case "mirrored":
            return "flip", "true"
        case "rotated" | "upside_down":
            return "quarter_turns", "true"
        case "tinted_orange" | "tinted_blue":
            return "tint", "0.6"
        case "dimmed" | "brightened":
            return "color", "0.6"
        case "gray" | "inverted":
            return ("gray" if name == "gray" else "invert"), "0.2"
        case "blurred":
            return "blur", f"{1.5 * BLUR * size:.2g}"
    return "", ""
