"""Estimator of the uncertainty of answers, loaded from a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from handlers.engines import Engine, Outputs
from handlers.uncertainty.observation import observe
from handlers.uncertainty.ood import OodDetector, OodError, OodScores
from models.card import Card, Policy, UncertaintyCard, describe
from models.release import UNCERTAINTY, WEIGHTS
from models.tensors import load_tensors

# Digits after the point, of probabilities and sums of them. Batch size changes the last bits of float32; these do not
# show it.
DIGITS = 6


class UncertaintyError(ValueError):
    """The tensors of the card's `uncertainty` are missing, damaged, or not for this network."""


def probabilities(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Return softmax(logits / temperature), float64 (N, classes), of logits; Guo et al. 2017, arXiv:1706.04599."""
    return (logits.double() / temperature).softmax(dim=1)


class UncertaintyEstimator:
    """Estimator of the uncertainty of answers, by a card's `uncertainty`.

    Args:
        tensors: those of uncertainty.safetensors, if the card's OOD score needs any.

    Raises:
        OodError: a tensor is missing.
    """

    def __init__(self, uncertainty: UncertaintyCard, tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        self.uncertainty = uncertainty
        self._tensors = tensors or {}
        self._detector = OodDetector(uncertainty.ood, self._tensors)

    @classmethod
    def load(cls, folder: Path, card: Card, engine: Engine) -> UncertaintyEstimator | None:
        """Load the estimator of a release folder or an unpacked .mar; None if the card has no `uncertainty`.

        Raises:
            UncertaintyError: uncertainty.safetensors is needed, and is missing, damaged, or of another network.
        """
        if card.uncertainty is None:
            return None
        ood = card.uncertainty.ood
        if ood.score == "energy" and ood.pixel_scale is None:
            return cls(card.uncertainty)
        path = folder / UNCERTAINTY
        if UNCERTAINTY not in card.digests:
            raise UncertaintyError(f"{path}: is needed for the card's uncertainty, and its digests do not vouch for it")
        try:
            tensors = {name: tensor.to(engine.device) for name, tensor in load_tensors(path).items()}
            estimator = cls(card.uncertainty, tensors)
        except (SafetensorError, OSError, OodError, RuntimeError) as error:
            raise UncertaintyError(f"{path}: cannot be used: {error}; restore the release, or train it again") from None
        blank = torch.zeros(1, 3, card.input.size, card.input.size, dtype=torch.uint8)
        try:
            estimator.scores(observe(engine, blank))
        except RuntimeError as error:
            raise UncertaintyError(f"{path}: is of another network than {WEIGHTS}: {error}") from None
        return estimator

    def under(self, policy: Policy) -> UncertaintyEstimator:
        """Return the same estimator with another policy.

        Raises:
            UncertaintyError: the policy refers by prediction sets that the model does not give.
        """
        try:
            uncertainty = UncertaintyCard.model_validate(
                self.uncertainty.model_dump() | {"policy": policy.model_dump()}
            )
        except ValidationError as error:
            raise UncertaintyError(f"the policy does not fit the model: {describe(error)}") from None
        return UncertaintyEstimator(uncertainty, self._tensors)

    def scores(self, outputs: Outputs) -> OodScores:
        """Return the OOD scores of N images."""
        return self._detector(outputs)
