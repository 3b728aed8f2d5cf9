"""Predictions from the network's outputs: the most probable classes, and whether to accept the first."""

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
        set: the prediction set: the labels of the classes that the image may show, most probable first.
        score: the OOD score, by `method`. Above `threshold` the image is out of distribution.
        reason: why a person should look at the image; None if the answer is accepted.
    """

    set: list[str]
    score: float
    threshold: float
    method: str
    reason: Reason | None

    @property
    def decision(self) -> Decision:
        """Accept the prediction, or refer the image to a person."""
        return "accept" if self.reason is None else "refer"

    def members(self) -> dict[str, Any]:
        """Return the JSON members for a response."""
        ood = {"score": self.score, "threshold": self.threshold, "method": self.method}
        return {"set": self.set, "ood": ood, "decision": self.decision, "reason": self.reason}


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
    """Return the uncertainty of the predictions for N images."""
    sizes = set_sizes(ranking.ranked, estimator.uncertainty.conformal).tolist()
    ood, policy = estimator.uncertainty.ood, estimator.uncertainty.policy
    estimates = []
    for row, (size, score) in enumerate(zip(sizes, estimator.scores(outputs), strict=True)):
        listed = ranking.indices[row]
        members = listed[:size] if size <= len(listed) else ranking.order[row, :size].tolist()
        labels = [classes[index] for index in members]
        top_probability = round(ranking.probabilities[row][0], DIGITS)
        reason = _reason(policy, is_ood=score > ood.threshold, set_size=size, top_probability=top_probability)
        estimates.append(Uncertainty(labels, score, ood.threshold, ood.score, reason))
    return estimates


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
