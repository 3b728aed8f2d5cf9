"""What the network puts out -> what is answered: the most probable classes, and whether to accept that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from handlers.engines import Outputs
from handlers.uncertainty import DIGITS, UncertaintyEstimator, probabilities, set_sizes
from models.card import Policy

Decision = Literal["accept", "refer"]
Reason = Literal["out_of_distribution", "ambiguous", "unsure"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The classes of a batch of N images, most probable first.

    Attributes:
        indices, probabilities: of the first ones, as many as are answered: each (N, k).
        order, ranked: the same of all, as tensors: int64 and float64 (N, classes).
    """

    indices: list[list[int]]
    probabilities: list[list[float]]
    order: torch.Tensor
    ranked: torch.Tensor


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How far the answer for one image can be trusted.

    Attributes:
        set: the labels of the classes that it may be, most probable first.
        score: how strange the image is, by `method`; above `threshold` it is out of distribution.
        reason: why a person should look at it; None where the answer is accepted.
    """

    set: list[str]
    score: float
    threshold: float
    method: str
    reason: Reason | None

    @property
    def decision(self) -> Decision:
        """What to do with the answer."""
        return "accept" if self.reason is None else "refer"

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it."""
        ood = {"score": self.score, "threshold": self.threshold, "method": self.method}
        return {"set": self.set, "ood": ood, "decision": self.decision, "reason": self.reason}


@torch.inference_mode()  # which makes each operation cheaper
def rank(logits: torch.Tensor, temperature: float = 1.0, most: int | None = None) -> Ranking:
    """Order the classes of each row of logits (N, classes) by probability; list the `most` first ones, or all."""
    ranked, order = probabilities(logits, temperature).sort(dim=1, descending=True, stable=True)
    return Ranking(order[:, :most].tolist(), ranked[:, :most].tolist(), order, ranked)


def predictions(
    ranking: Ranking, row: int, classes: Sequence[str], top_k: int, raw: torch.Tensor | None = None
) -> list[dict[str, Any]]:
    """The answer's `predictions` for one image: at most `top_k` classes, most probable first.

    Args:
        raw: the probabilities without the temperature (classes,), where they are answered too.
    """
    pairs = zip(ranking.indices[row][:top_k], ranking.probabilities[row][:top_k], strict=True)
    found: list[dict[str, Any]] = []
    for index, probability in pairs:
        found.append({"label": classes[index], "index": index, "probability": round(probability, DIGITS)})
        if raw is not None:
            found[-1]["raw_probability"] = round(float(raw[index]), DIGITS)
    return found


@torch.inference_mode()
def uncertainties(
    ranking: Ranking, outputs: Outputs, estimator: UncertaintyEstimator, classes: Sequence[str]
) -> list[Uncertainty]:
    """UncertaintyEstimator the answers for N images."""
    sizes = set_sizes(ranking.ranked, estimator.uncertainty.conformal).tolist()
    ood, policy = estimator.uncertainty.ood, estimator.uncertainty.policy
    found = []
    for row, (size, score) in enumerate(zip(sizes, estimator.scores(outputs), strict=True)):
        listed = ranking.indices[row]
        first = listed[:size] if size <= len(listed) else ranking.order[row, :size].tolist()
        labels = [classes[index] for index in first]
        best = round(ranking.probabilities[row][0], DIGITS)
        reason = _reason(policy, strange=score > ood.threshold, size=size, best=best)
        found.append(Uncertainty(labels, score, ood.threshold, ood.score, reason))
    return found


def _reason(policy: Policy, *, strange: bool, size: int, best: float) -> Reason | None:
    """The first reason to refer an answer: its `set` and its probability mean little for an image that is strange."""
    if policy.out_of_distribution and strange:
        return "out_of_distribution"
    if policy.max_set_size is not None and size > policy.max_set_size:
        return "ambiguous"
    return "unsure" if best < policy.min_probability else None
