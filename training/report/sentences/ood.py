"""Sentences about out-of-distribution scores."""

from __future__ import annotations

from training.metrics.ood_detection import OodDetection
from training.report.words import counted

AGREEMENTS = {
    "within": "so this is as expected",
    "below": "so there are fewer false alarms than expected",
    "above": "so there are more false alarms than expected: these images are not like the calibration images",
}


def false_alarms(detection: OodDetection) -> str:
    """Return how the false alarms on test images lie to the target."""
    target = f"{100 * detection.target:g} %"
    measured = f"False alarms on the test images: {counted(detection.false_positive_rate)}; the target is {target}"
    if detection.expected is None:
        return (
            f"{measured}. There are too few calibration images for this target; the rate may be higher on new images."
        )
    expected, images = detection.expected, detection.false_positive_rate.total
    return (
        f"{measured}. On {images:,} images, {100 * expected.low:.1f} to {100 * expected.high:.1f} % is expected, "
        f"{AGREEMENTS[expected.agreement(detection.false_positive_rate)]}."
    )


def chosen_score(detection: OodDetection, setting: str | None) -> str:
    """Return which distance of the embedding is used, and why.

    Args:
        setting: `uncertainty.ood` of the recipe, such as "auto"; None if it is unknown.
    """
    name = _title(detection.method)
    if detection.choice:
        ranked = sorted(detection.choice.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{_title(score)} {100 * caught:.0f} %" for score, caught in ranked)
        best = "No score detects more" if _ties(detection) else "It detects most"
        why = f" {best} of the changed and foreign images that were made from the calibration split: {shares}."
    else:
        why = " The recipe names it." if setting == detection.method else ""
    pixels = " Statistics of the pixels (colors, brightness, sharpness) have a score too, and the larger one counts."
    return f"Score of the embedding: {name}.{why}{pixels if detection.pixel_statistics else ''}"


def _ties(detection: OodDetection) -> bool:
    """Return whether another score detects as much as the chosen one, in whole percents."""
    percents = sorted((round(100 * caught) for caught in detection.choice.values()), reverse=True)
    return len(percents) > 1 and percents[0] == percents[1]


def _title(score: str) -> str:
    return {
        "energy": "energy",
        "mahalanobis": "Mahalanobis distance",
        "mahalanobis_asinh": "Mahalanobis distance of asinh",
        "relative_mahalanobis": "relative Mahalanobis distance",
    }[score]
