"""Comparison of two answers to one request, and the figures of such a pair."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from serving.rollout.shadow.answers import ImageAnswer

# A matrix product sums in another order for another number of rows, so the last bits of float32 logits change with the
# batch. That moves a probability by less than one unit of its sixth and last digit. The rounded value may then differ
# by one unit, or by two at a border. The same noise moves an OOD score, relative to its size.
PROBABILITY_TOLERANCE = 2.1e-6
SCORE_TOLERANCE = 1.1e-3
# In an engine of fewer bits, such noise can move a value by one step of its quantization.
COARSE_PROBABILITY_TOLERANCE = 0.005


class ImagePair(BaseModel):
    """Both answers for one image.

    Attributes:
        change: how much the probability of the stable version's label differs; None if an answer does not list it.
        correlation: Spearman's rank correlation of both attribution maps, by region; None if they were not compared.
    """

    model_config = ConfigDict(extra="forbid")

    labels: tuple[str, str]
    confidences: tuple[float | None, float | None]
    change: float | None
    decisions: tuple[str | None, str | None]
    same_set: bool
    correlation: float | None = None


class Pair(BaseModel):
    """One line of `pairs.jsonl`: the stable version's answer to a request, and the answer to its copy.

    Attributes:
        itself: True if the stable version answered the copy too.
        statuses: of both answers. The second is 0 if that answer has the form of no protocol, or other images.
        milliseconds: from sending the copy to its answer, at the lowest priority.
        images: empty unless both answers have status 200.
        difference: what differs first, for a pair of the stable version with itself; None for nothing.
    """

    model_config = ConfigDict(extra="forbid")

    itself: bool
    statuses: tuple[int, int]
    milliseconds: float
    images: list[ImagePair] = []
    difference: str | None = None


def image_pairs(stable: Sequence[ImageAnswer], candidate: Sequence[ImageAnswer]) -> list[ImagePair]:
    """Return the pairs of two answers to one request with the same number of images."""
    pairs = []
    for first, second in zip(stable, candidate, strict=True):
        before, after = first.confidence, second.probabilities.get(first.label)
        pairs.append(
            ImagePair(
                labels=(first.label, second.label),
                confidences=(_rounded(before), _rounded(second.confidence)),
                change=None if before is None or after is None else _rounded(abs(before - after)),
                decisions=(first.decision, second.decision),
                same_set=_as_set(first) == _as_set(second),
            )
        )
    return pairs


def first_difference(
    answer: Sequence[ImageAnswer], other: Sequence[ImageAnswer], *, coarse: bool = False
) -> str | None:
    """Return the first member in which two answers of one version differ by more than its rounding; None for none.

    Texts must be equal, with classes in the same order.

    Args:
        coarse: the engine computes in fewer bits than float32. Then only probabilities are compared: the label, the set
            and the decision follow from them, and may change where a value is near a threshold.
    """
    tolerance = COARSE_PROBABILITY_TOLERANCE if coarse else PROBABILITY_TOLERANCE
    for first, second in zip(answer, other, strict=True):
        if not coarse and list(first.probabilities) != list(second.probabilities):
            return f"labels: {list(first.probabilities)} and {list(second.probabilities)}"
        for label in first.probabilities.keys() & second.probabilities.keys():
            if not _close(first.probabilities[label], second.probabilities[label], absolute=tolerance):
                return f"probability of {label}: {first.probabilities[label]} and {second.probabilities[label]}"
        if coarse:
            continue
        if not _close(first.ood_score, second.ood_score, relative=SCORE_TOLERANCE):
            return f"OOD score: {first.ood_score} and {second.ood_score}"
        for name in ("set", "decision", "reason", "reason_detail"):
            if getattr(first, name) != getattr(second, name):
                return f"{name}: {getattr(first, name)} and {getattr(second, name)}"
    return None


def _rounded(probability: float | None) -> float | None:
    """Return a probability with the digits of an answer; v2 sends it as float32."""
    return None if probability is None else round(probability, 6)


def _as_set(answer: ImageAnswer) -> frozenset[str] | None:
    return None if answer.set is None else frozenset(answer.set)


def _close(first: float | None, second: float | None, *, absolute: float = 0.0, relative: float = 0.0) -> bool:
    if first is None or second is None:
        return first is second
    return math.isclose(first, second, rel_tol=relative, abs_tol=absolute)
