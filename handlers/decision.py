"""Predictions from the network's outputs: the most probable classes, and whether to accept the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from handlers.engines import Outputs
from handlers.uncertainty import DIGITS, UncertaintyEstimator, probabilities
from handlers.uncertainty.ood import Detail
from handlers.uncertainty.prediction_sets import membership
from models.card import Conformal, Policy

Decision = Literal["accept", "refer"]
Reason = Literal["out_of_distribution", "ambiguous", "unsure"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The classes of a batch of N images, most probable first.

    Attributes:
        indices, probabilities: of the first k classes, as many as are answered: each (N, k).
        order, ranked: the same of all classes, as tensors: int64 and float64 (N, classes).
    """

    indices: list[list[int]]
    probabilities: list[list[float]]
    order: torch.Tensor
    ranked: torch.Tensor


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The uncertainty of the prediction for one image.

    Attributes:
        set: the prediction set: the labels of the classes that the image may show, most probable first; None if the
            model gives no sets.
        score: the OOD score, by `method`. Above `threshold` the image is out of distribution.
        reason: why a person should look at the image; None if the answer is accepted.
        reason_detail: what is unlike the training images, if the image is referred for that.
    """

    set: list[str] | None
    score: float
    threshold: float
    method: str
    reason: Reason | None
    reason_detail: Detail | None = None

    @property
    def decision(self) -> Decision:
        """Accept the prediction, or refer the image to a person."""
        return "accept" if self.reason is None else "refer"

    def members(self) -> dict[str, Any]:
        """Return the JSON members for a response."""
        ood = {"score": self.score, "threshold": self.threshold, "method": self.method}
        return {
            "set": self.set,
            "ood": ood,
            "decision": self.decision,
            "reason": self.reason,
            "reason_detail": self.reason_detail,
        }


@dataclass(frozen=True, slots=True)
class PredictionContext:
    """The prediction of one image, as an explanation needs it.

    Attributes:
        predicted: the index of the most probable class.
        probabilities: calibrated, float64 (classes,).
        raw: the same without the temperature.
        embedding: the head's input, (D,).
    """

    predicted: int
    probabilities: torch.Tensor
    raw: torch.Tensor
    embedding: torch.Tensor
    uncertainty: Uncertainty | None


@torch.inference_mode()  # makes each operation cheaper
def rank(logits: torch.Tensor, temperature: float = 1.0, max_rank: int | None = None) -> Ranking:
    """Order the classes of each row of logits (N, classes) by probability; list the first `max_rank`, or all."""
    ranked, order = probabilities(logits, temperature).sort(dim=1, descending=True, stable=True)
    return Ranking(order[:, :max_rank].tolist(), ranked[:, :max_rank].tolist(), order, ranked)


def predictions(
    ranking: Ranking, row: int, classes: Sequence[str], top_k: int, raw: torch.Tensor | None = None
) -> list[dict[str, Any]]:
    """Return `predictions` of a response for one image: at most `top_k` classes, most probable first.

    Args:
        raw: the probabilities without the temperature (classes,), to answer them too.
    """
    pairs = zip(ranking.indices[row][:top_k], ranking.probabilities[row][:top_k], strict=True)
    entries: list[dict[str, Any]] = []
    for index, probability in pairs:
        entries.append({"label": classes[index], "index": index, "probability": round(probability, DIGITS)})
        if raw is not None:
            entries[-1]["raw_probability"] = round(float(raw[index]), DIGITS)
    return entries


@torch.inference_mode()
def uncertainties(
    ranking: Ranking, outputs: Outputs, estimator: UncertaintyEstimator, classes: Sequence[str]
) -> list[Uncertainty]:
    """Return the uncertainty of the predictions for N images.

    Args:
        outputs: with pixel statistics, if the estimator's OOD score needs them.
    """
    conformal, ood, policy = estimator.uncertainty.conformal, estimator.uncertainty.ood, estimator.uncertainty.policy
    sets = _sets(ranking, conformal, classes) if conformal else [None] * len(outputs.logits)
    scores = estimator.scores(outputs)
    foreign = policy.out_of_distribution and any(score > ood.threshold for score in scores.values)
    details: Sequence[Detail | None] = scores.details() if foreign else [None] * len(sets)
    estimates = []
    for row, (labels, score) in enumerate(zip(sets, scores.values, strict=True)):
        top_probability = round(ranking.probabilities[row][0], DIGITS)
        set_size = 0 if labels is None else len(labels)
        reason = _reason(policy, is_ood=score > ood.threshold, set_size=set_size, top_probability=top_probability)
        detail = details[row] if reason == "out_of_distribution" else None
        estimates.append(Uncertainty(labels, score, ood.threshold, ood.score, reason, detail))
    return estimates


def _sets(ranking: Ranking, conformal: Conformal, classes: Sequence[str]) -> list[list[str]]:
    """Return the labels of each prediction set, most probable first."""
    members = membership(ranking.ranked, ranking.order, conformal)
    sizes = members.sum(dim=1).tolist()
    sets = []
    for row, size in enumerate(sizes):
        if len(conformal.thresholds) > 1:  # a less probable class may be in the set where a more probable one is not
            indices = ranking.order[row][members[row]].tolist()
        else:
            listed = ranking.indices[row]
            indices = listed[:size] if size <= len(listed) else ranking.order[row, :size].tolist()
        sets.append([classes[index] for index in indices])
    return sets


def _reason(policy: Policy, *, is_ood: bool, set_size: int, top_probability: float) -> Reason | None:
    """Return the first reason to refer an image. Set and probability mean little out of distribution."""
    if policy.out_of_distribution and is_ood:
        return "out_of_distribution"
    if policy.max_set_size is not None and set_size > policy.max_set_size:
        return "ambiguous"
    return "unsure" if top_probability < policy.min_probability else None


def context(
    outputs: Outputs, ranking: Ranking, row: int, uncertainty: Uncertainty | None, temperature: float
) -> PredictionContext:
    """Return the context of one image's explanation."""
    logits = outputs.logits[row : row + 1]
    return PredictionContext(
        predicted=ranking.indices[row][0],
        probabilities=probabilities(logits, temperature)[0],
        raw=probabilities(logits)[0],
        embedding=outputs.embeddings[row],
        uncertainty=uncertainty,
    )
