"""Sentences about prediction sets."""

from __future__ import annotations

from training.metrics.prediction_sets import PredictionSets
from training.report.words import counted

AGREEMENTS = {
    "within": "So the measured coverage is as expected.",
    "below": "The measured coverage is below it: these images are harder than the calibration images.",
    "above": (
        "The measured coverage is above it. The most probable class is always in the set, so sets may hold the right "
        "class more often than they must."
    ),
}


def coverage(sets: PredictionSets, setting: object) -> str:
    """Return how the measured coverage lies to the target and its range.

    Args:
        setting: `uncertainty.coverage` of the recipe, such as "auto"; None if it is unknown.
    """
    chosen = ", chosen from the calibration split" if setting == "auto" else ", set in the recipe" if setting else ""
    text = (
        f"Coverage on the test images: {counted(sets.coverage)}. The target is {100 * sets.target:.3g} %{chosen}. With "
        f"so many calibration images, 95 of 100 models have a coverage of {_range(sets.target_low, sets.target_high)}."
    )
    if sets.expected is None:
        return text
    expected = f"On {sets.coverage.total:,} test images, {_range(sets.expected.low, sets.expected.high)} is expected."
    return f"{text} {expected} {AGREEMENTS[sets.expected.agreement(sets.coverage)]}"


def information(sets: PredictionSets) -> str | None:
    """Return a sentence if all sets have the same size of one or of all classes; None if sets differ."""
    size = sets.sizes[0].size
    if len(sets.sizes) > 1 or 1 < size < len(sets.classes):
        return None
    if size == 1:
        return "Every set holds one class only, so the sets say nothing beyond the prediction itself."
    return "Every set holds all classes, so the sets exclude nothing."


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"
