"""The policy of referral, tuned so that a share of the calibration images is referred."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from handlers.uncertainty import DIGITS
from handlers.uncertainty.prediction_sets import membership
from models.card import Conformal, Policy, Share, StrictModel


class PolicySettings(StrictModel):
    """Rules for the decision, in a recipe.

    Attributes:
        out_of_distribution: refer OOD images.
        max_set_size: refer larger prediction sets; null: accept any size.
        min_probability: refer less probable predictions. `auto`: so that the share `refer` of the calibration images is
            referred, for this or another reason.
    """

    out_of_distribution: bool = True
    max_set_size: Annotated[int, Field(ge=1)] | None = None
    min_probability: Share | Literal["auto"] = "auto"


def fit_policy(
    settings: PolicySettings,
    refer: float,
    probabilities: torch.Tensor,
    is_ood: torch.Tensor,
    conformal: Conformal | None,
) -> Policy:
    """Return the policy; `min_probability: auto` becomes a number.

    The least probable predictions are wrong most often, so they are the ones to refer.

    Args:
        refer: share of the images to refer, for any reason.
        probabilities: calibrated, of calibration images, (N, classes).
        is_ood: which of these are detected as OOD, bool (N,).
    """
    max_set_size = None if conformal is None else settings.max_set_size
    if settings.min_probability != "auto":
        return Policy(
            out_of_distribution=settings.out_of_distribution,
            max_set_size=max_set_size,
            min_probability=settings.min_probability,
        )
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    referred = is_ood & settings.out_of_distribution
    if conformal is not None and max_set_size is not None:
        referred = referred | (membership(ranked, order, conformal).sum(dim=1) > max_set_size)
    left = ranked[~referred, 0].round(decimals=DIGITS).sort().values
    # A prediction is referred if it is less probable than the limit, so that `budget` of these images are.
    budget = round(refer * len(ranked)) - int(referred.sum())
    limit = float(left[min(budget, len(left) - 1)]) if budget > 0 and len(left) else 0.0
    return Policy(out_of_distribution=settings.out_of_distribution, max_set_size=max_set_size, min_probability=limit)
