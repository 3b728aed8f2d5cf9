"""Fit the uncertainty on the calibration split, never on test: temperature, prediction sets, OOD score, policy.

handlers/uncertainty/ applies it. Fitting uses the same functions, so the fitted uncertainty is the served one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from handlers import uncertainty as applied
from handlers.uncertainty.ood import OodDetector
from models.card import Share, StrictModel, UncertaintyCard
from training.uncertainty.conformal import SetRule, fit_sets
from training.uncertainty.ood import OodRule, Score, fit_ood
from training.uncertainty.referral import PolicySettings, fit_policy
from training.uncertainty.scored import Scored, ScoredBatterySet
from training.uncertainty.temperature import fit_temperature

__all__ = ["Fitted", "Scored", "ScoredBatterySet", "UncertaintySettings", "fit"]


def _as_share(value: Any) -> Any:
    """Read a percentage, such as "5%", as a share; leave anything else as it is."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.endswith("%"):
        return value
    try:
        return float(text[:-1]) / 100
    except ValueError:
        return value


Percentage = Annotated[Share, BeforeValidator(_as_share)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class UncertaintySettings(StrictModel):
    """Settings of the uncertainty in a recipe.

    Attributes:
        coverage: share of images whose prediction set must contain the correct class. `auto`: halfway between the
            accuracy on the calibration split and 1, and at least 0.9, so that sets say more than the prediction.
        conformal: method of the prediction sets; see Conformal in models/card.py. `lac` has the smallest sets.
        class_conditional: reach the coverage for each class, not on average. It takes 50 calibration images of each.
        penalty: added to the summed probability for each rank beyond `free`; for `raps`.
        free: number of ranks without a penalty; for `raps`.
        ood: distance of the embedding for OOD detection; see OutOfDistribution in models/card.py. `auto`: the one that
            detects most changed and foreign images.
        pixel_statistics: detect images with other colors, brightness or sharpness too.
        false_positive_rate: share of in-distribution images that may be detected as OOD. `auto`: 0.01 from 100
            calibration images on, 0.05 below.
        refer: share of images to refer to a person, such as 0.05 or 5%; for `policy.min_probability: auto`.
        policy: rules for referring a prediction to a person.
    """

    coverage: Rate | Literal["auto"] = "auto"
    conformal: Literal["lac", "aps", "raps"] = "lac"
    class_conditional: bool = False
    penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.01
    free: Annotated[int, Field(ge=0)] = 2
    ood: Score | Literal["auto"] = "auto"
    pixel_statistics: bool = True
    false_positive_rate: Rate | Literal["auto"] = "auto"
    refer: Percentage = 0.05
    policy: PolicySettings = PolicySettings()

    @model_validator(mode="after")
    def only_raps_has_a_penalty(self) -> UncertaintySettings:
        """Check that penalty and free keep their defaults with other methods."""
        if self.conformal != "raps" and {"penalty", "free"} & self.model_dump(exclude_defaults=True).keys():
            raise ValueError(
                f"penalty and free are of raps, and conformal is {self.conformal}: leave them out, or say raps"
            )
        return self


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fitted uncertainty for a release.

    Attributes:
        uncertainty: section of the card.
        tensors: for `uncertainty.safetensors`; empty if the OOD score needs none.
        remarks: sentences on settings that the calibration split was too small or too easy for.
    """

    uncertainty: UncertaintyCard
    tensors: dict[str, torch.Tensor]
    remarks: tuple[str, ...]


def fit(
    train: Scored, calibration: Scored, settings: UncertaintySettings, battery: Sequence[ScoredBatterySet] = ()
) -> Fitted:
    """Fit everything in float64 on the CPU.

    Args:
        train: the training images as serving sees them, not augmented: class means and covariances come from these.
        calibration: images that the weights were not fitted on: temperature, thresholds and policy come from these.
        battery: changed calibration images and foreign ones, for `ood: auto`.

    Raises:
        ValueError: a split is empty, or its outputs are not finite, or `train` allows no Mahalanobis scores.
    """
    train, calibration = _checked("train", train), _checked("calibration", calibration)
    logits, labels = calibration.outputs.logits, calibration.labels
    temperature = fit_temperature(logits, labels)
    probabilities = applied.probabilities(logits, temperature.value)
    is_raps = settings.conformal == "raps"
    sets = fit_sets(
        probabilities,
        labels,
        SetRule(
            method=settings.conformal,
            coverage=settings.coverage,
            class_conditional=settings.class_conditional,
            penalty=settings.penalty if is_raps else 0.0,
            free=settings.free if is_raps else 0,
        ),
    )
    ood = fit_ood(
        train,
        calibration,
        OodRule(settings.ood, settings.pixel_statistics, settings.false_positive_rate),
        battery,
    )
    scores = torch.tensor(OodDetector(ood.card, ood.tensors)(calibration.outputs).values, dtype=torch.float64)
    policy = fit_policy(settings.policy, settings.refer, probabilities, scores > ood.card.threshold, sets.conformal)
    uncertainty = UncertaintyCard(
        temperature=temperature.value,
        calibration=temperature.evidence,
        conformal=sets.conformal,
        no_sets_reason=sets.reason,
        ood=ood.card,
        refer=settings.refer if settings.policy.min_probability == "auto" else None,
        policy=policy,
    )
    remarks = [*temperature.remarks, *sets.remarks, *ood.remarks]
    if sets.conformal is None and settings.policy.max_set_size is not None:
        size = settings.policy.max_set_size
        remarks.append(f"policy.max_set_size ({size}) is left out, because the model gives no prediction sets")
    return Fitted(uncertainty, ood.tensors, tuple(remarks))


def _checked(name: str, split: Scored) -> Scored:
    """Return the split on the CPU, after checking its outputs."""
    outputs = split.outputs.cpu()
    logits, embeddings = outputs.logits, outputs.embeddings
    if not len(logits) == len(embeddings) == len(split.labels) > 0:
        counts = f"{len(logits)} logits, {len(embeddings)} embeddings and {len(split.labels)} labels"
        raise ValueError(f"the {name} split has {counts}: uncertainty is fitted on one of each for every image")
    if not (logits.isfinite().all() and embeddings.isfinite().all()):
        raise ValueError(f"the network answers images of the {name} split with NaN or infinity: train it again")
    return Scored(outputs, split.labels.cpu())
