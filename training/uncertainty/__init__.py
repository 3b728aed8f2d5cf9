"""Fit the uncertainty on the calibration split, never on test: temperature, conformal sets, out-of-distribution score.

handlers/uncertainty.py applies it. Fitting uses the same functions, so the fitted uncertainty is the served one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, FiniteFloat, model_validator

from handlers import uncertainty as applied
from handlers.engines import Outputs
from models.card import Conformal, OutOfDistribution, Policy, StrictModel, UncertaintyCard
from training.uncertainty import conformal, ood
from training.uncertainty.temperature import fit_temperature


class UncertaintySettings(StrictModel):
    """Settings of the uncertainty in a recipe.

    Attributes:
        coverage: share of images whose prediction set must contain the correct class.
        conformal: method of the prediction sets. `raps` keeps sets small by a `penalty` for each rank beyond `free`;
            `aps` has neither.
        penalty: added to the summed probability for each rank beyond `free`; for `raps`.
        free: number of ranks without a penalty; for `raps`.
        ood: score of OOD detection: `mahalanobis` of the embedding, or `energy` of the logits.
        false_positive_rate: share of in-distribution images that may be detected as OOD.
        policy: rules for referring a prediction to a person.
    """

    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    conformal: Literal["raps", "aps"] = "raps"
    penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.01
    free: Annotated[int, Field(ge=0)] = 2
    ood: Literal["mahalanobis", "energy"] = "mahalanobis"
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    policy: Policy = Policy()

    @model_validator(mode="after")
    def aps_has_no_penalty(self) -> UncertaintySettings:
        """Check that penalty and free keep their defaults with aps."""
        if self.conformal == "aps" and {"penalty", "free"} & self.model_dump(exclude_defaults=True).keys():
            raise ValueError("penalty and free are of raps, and conformal is aps: leave them out, or say raps")
        return self


@dataclass(frozen=True, slots=True)
class Scored:
    """A network's outputs for a split, and the labels: int64 (N,), indices of classes."""

    outputs: Outputs
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fitted uncertainty for a release.

    Attributes:
        uncertainty: section of the card.
        tensors: float32, for `uncertainty.safetensors`; empty if the OOD score needs none.
        remarks: sentences on settings that the calibration split was too small or too easy for.
    """

    uncertainty: UncertaintyCard
    tensors: dict[str, torch.Tensor]
    remarks: tuple[str, ...]


def fit(train: Scored, calibration: Scored, settings: UncertaintySettings) -> Fitted:
    """Fit everything in float64 on the CPU.

    Args:
        train: the training images as serving sees them, not augmented: class means and covariance come from these.
        calibration: images that the weights were not fitted on: temperature and both thresholds come from these.

    Raises:
        ValueError: a split is empty, or its outputs are not finite, or `train` allows no Mahalanobis scores.
    """
    train, calibration = _checked("train", train), _checked("calibration", calibration)
    logits, labels = calibration.outputs.logits, calibration.labels
    temperature, cool = fit_temperature(logits, labels)
    penalty, free = (settings.penalty, settings.free) if settings.conformal == "raps" else (0.0, 0)
    probabilities = applied.probabilities(logits, temperature)
    threshold, few = conformal.fit_threshold(probabilities, labels, settings.coverage, penalty=penalty, free=free)
    tensors: dict[str, torch.Tensor] = {}
    if settings.ood == "mahalanobis":
        tensors = ood.fit_mahalanobis(train.outputs.embeddings, train.labels, classes=logits.shape[1])
        scores = applied.Mahalanobis.of(tensors, torch.device("cpu"))(calibration.outputs.embeddings)
    else:
        scores = applied.energy(logits)
    limit, rare = ood.fit_threshold(scores, settings.false_positive_rate)
    uncertainty = UncertaintyCard(
        temperature=temperature,
        conformal=Conformal(
            method=settings.conformal, coverage=settings.coverage, threshold=threshold, penalty=penalty, free=free
        ),
        ood=OutOfDistribution(score=settings.ood, threshold=limit, false_positive_rate=settings.false_positive_rate),
        policy=settings.policy,
    )
    return Fitted(uncertainty, tensors, (*cool, *few, *rare))


def _checked(name: str, split: Scored) -> Scored:
    """Return the split on the CPU, after checking its outputs."""
    logits, embeddings = split.outputs.logits.cpu(), split.outputs.embeddings.cpu()
    if not len(logits) == len(embeddings) == len(split.labels) > 0:
        counts = f"{len(logits)} logits, {len(embeddings)} embeddings and {len(split.labels)} labels"
        raise ValueError(f"the {name} split has {counts}: uncertainty is fitted on one of each for every image")
    if not (logits.isfinite().all() and embeddings.isfinite().all()):
        raise ValueError(f"the network answers images of the {name} split with NaN or infinity: train it again")
    return Scored(Outputs(logits, embeddings), split.labels.cpu())
