"""Uncertainty of an answer: calibrated probabilities, prediction sets and OOD scores.

Fitting (training/uncertainty/) and serving compute these here, for a whole batch, in float64. The remaining noise is
that of the network's float32, whose last bits change with the batch. Values are rounded before they are compared with a
threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError

from handlers.engines import Engine, Outputs
from models.card import Card, Conformal, Policy, UncertaintyCard
from models.release import UNCERTAINTY, WEIGHTS
from models.tensors import load_tensors

# Digits after the point, of probabilities and sums of them. Batch size changes the last bits of float32; these do not
# show it.
DIGITS = 6
# Significant digits of scores, which may be large, and sum up the noise of many numbers.
SIGNIFICANT = 4
MEANS, WHITENING, UNIT = "means", "whitening", "unit"


class UncertaintyError(ValueError):
    """The tensors of the card's `uncertainty` are missing, damaged, or not for this network."""


def probabilities(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Return softmax(logits / temperature), float64 (N, classes), of logits; Guo et al. 2017, arXiv:1706.04599."""
    return (logits.double() / temperature).softmax(dim=1)


def rank_scores(ranked: torch.Tensor, penalty: float, free: int) -> torch.Tensor:
    """Return the RAPS score of each class (Angelopoulos et al. 2021, arXiv:2009.14193): it starts at 0 and rises.

    Args:
        ranked: the probabilities of each row, (N, classes), most probable first.

    Returns:
        (N, classes): the probability of the classes before it, plus `penalty` for each rank beyond `free`; see
        models.card.Conformal.
    """
    before = ranked.cumsum(dim=1).sub_(ranked)
    return before.add_(_penalties(ranked.shape[1], penalty, free, ranked.device)).round_(decimals=DIGITS)


@lru_cache(maxsize=16)
def _penalties(classes: int, penalty: float, free: int, device: torch.device) -> torch.Tensor:
    """Return the penalty of each rank, float64 (classes,); 0 for the first."""
    ranks = torch.arange(1, classes + 1, device=device, dtype=torch.float64)
    penalties = penalty * (ranks - free).clamp(min=0)
    penalties[0] = 0
    return penalties


def set_sizes(ranked: torch.Tensor, conformal: Conformal) -> torch.Tensor:
    """Return the size of each row's prediction set, int64 (N,), from the most probable class on; see `rank_scores`."""
    scores = rank_scores(ranked, conformal.penalty, conformal.free)
    return (scores <= conformal.threshold).sum(dim=1)


def energy(logits: torch.Tensor) -> torch.Tensor:
    """Return the energy -logsumexp of logits (N, classes), float64 (N,); higher is further out of distribution.

    Source: Liu et al. 2020, arXiv:2010.03759.
    """
    return -logits.double().logsumexp(dim=1)


def straightened(embeddings: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """asinh(embeddings / unit), float64 (N, D): linear near 0, a logarithm beyond `unit` (Johnson 1949, Biometrika 36).

    After a ReLU most values are near 0 and few are large. Mahalanobis distances assume a Gaussian distribution.
    """
    return torch.asinh(embeddings.double() / unit)


class Mahalanobis:
    """Squared distance to the nearest class mean, under one covariance for all (Lee et al. 2018, arXiv:1807.03888).

    Args:
        means: of each class, of straightened embeddings, (classes, D).
        whitening: (D, D); its product with its transpose is the inverse covariance of the same.
        unit: of `straightened`, (1,).
    """

    def __init__(self, means: torch.Tensor, whitening: torch.Tensor, unit: torch.Tensor) -> None:
        self._unit = unit.double()
        # Centering does not change distances, and the squares of small numbers are more exact.
        self._center = means.double().mean(dim=0)
        self._whitening = whitening.double()
        means = (means.double() - self._center) @ self._whitening
        self._squares = (means**2).sum(dim=1)
        self._pulls = -2 * means.T

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor], device: torch.device) -> Mahalanobis:
        """Build it from the tensors of uncertainty.safetensors."""
        return cls(*(tensors[name].to(device) for name in (MEANS, WHITENING, UNIT)))

    def __call__(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the OOD scores of embeddings (N, D), float64 (N,); higher is further out of distribution."""
        white = straightened(embeddings, self._unit).sub_(self._center) @ self._whitening
        # |white - mean|^2 = |white|^2 + (|mean|^2 - 2 white mean), and the classes differ in the bracket alone.
        nearest = torch.addmm(self._squares, white, self._pulls).amin(dim=1)
        return nearest.add_(torch.linalg.vecdot(white, white)).clamp_(min=0)


def significant(scores: torch.Tensor) -> list[float]:
    """Return scores (N,) rounded to SIGNIFICANT digits, for comparisons and responses."""
    return [float(f"{score:.{SIGNIFICANT}g}") for score in scores.tolist()]


class UncertaintyEstimator:
    """Estimator of the uncertainty of answers, by a card's `uncertainty`.

    Raises:
        UncertaintyError: `uncertainty` has Mahalanobis scores, and no tensors are given.
    """

    def __init__(self, uncertainty: UncertaintyCard, mahalanobis: Mahalanobis | None = None) -> None:
        if uncertainty.ood.score == "mahalanobis" and mahalanobis is None:
            raise UncertaintyError(
                f"the card's uncertainty wants Mahalanobis scores, which need the tensors of {UNCERTAINTY}"
            )
        self.uncertainty = uncertainty
        self._mahalanobis = mahalanobis

    @classmethod
    def load(cls, folder: Path, card: Card, engine: Engine) -> UncertaintyEstimator | None:
        """Load the estimator of a release folder or an unpacked .mar; None if the card has no `uncertainty`.

        Raises:
            UncertaintyError: uncertainty.safetensors is needed, and is missing, damaged, or of another network.
        """
        if card.uncertainty is None or card.uncertainty.ood.score != "mahalanobis":
            return cls(card.uncertainty) if card.uncertainty else None
        path = folder / UNCERTAINTY
        if UNCERTAINTY not in card.digests:
            raise UncertaintyError(f"{path}: is needed for the card's uncertainty, and its digests do not vouch for it")
        try:
            estimator = cls(card.uncertainty, Mahalanobis.of(load_tensors(path), engine.device))
        except (SafetensorError, OSError, KeyError, RuntimeError) as error:
            raise UncertaintyError(f"{path}: cannot be used: {error}; restore the release, or train it again") from None
        blank = torch.zeros(1, 3, card.input.size, card.input.size, dtype=torch.uint8)
        try:
            estimator.scores(engine.outputs(blank))
        except RuntimeError as error:
            raise UncertaintyError(f"{path}: is of another network than {WEIGHTS}: {error}") from None
        return estimator

    def under(self, policy: Policy) -> UncertaintyEstimator:
        """Return the same estimator with another policy."""
        return UncertaintyEstimator(self.uncertainty.model_copy(update={"policy": policy}), self._mahalanobis)

    def scores(self, outputs: Outputs) -> list[float]:
        """Return the OOD score of each of N images, rounded."""
        scores = energy(outputs.logits) if self._mahalanobis is None else self._mahalanobis(outputs.embeddings)
        return significant(scores)
