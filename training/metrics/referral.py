"""Referral: what a model gains if a person answers the images that it is least sure of.

The risk-coverage curve is by Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks",
arXiv:1705.08500; the area under it by Geifman, Uziel and El-Yaniv 2019, arXiv:1805.08206.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.stats import hypergeom

from handlers.decision import Uncertainty
from handlers.uncertainty import DIGITS
from training.metrics.interval import CONFIDENCE, Share, share

# Shares of referred images in the table of a report.
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
# Points of the curve.
MAX_POINTS = 400
SEED = 0
# Fewer mistakes do not show that a policy fails to catch them.
MIN_MISTAKES = 3

Help = Literal["helps", "does not help", "cannot be shown", "refers nothing"]


@dataclass(frozen=True, slots=True)
class ReferralPoint:
    """Result of referring the images that come first in the order of referral.

    Attributes:
        referred: share of the images that are referred.
        accuracy: accuracy of the other images; None if all are referred.
        caught: share of the mistakes that are among the referred images; None if there are no mistakes.
    """

    referred: Share
    accuracy: Share | None
    caught: Share | None


@dataclass(frozen=True, slots=True)
class Referral:
    """The risk-coverage curve of a test set, and the point that the card's policy chose on it.

    Attributes:
        target: share of images that the policy was fitted to refer; None if it was not fitted.
        policy: result of the card's policy.
        p_value: probability that as many images, chosen at random, contain at least as many mistakes
            (hypergeometric); None without mistakes.
        help: whether the policy catches more mistakes than chance. `cannot be shown`: it does not, but there are so few
            mistakes that a policy which catches half of them might not either.
        points: results for SHARES of the images.
        aurc: area under the risk-coverage curve: mean share of mistakes over all shares of accepted images.
        aurc_random: this area for a random order: the share of mistakes.
        aurc_best: this area if all mistakes came first.
        curve_referred: shares of referred images, from 0 on.
        curve_accuracy: accuracy of the other images, for each of these shares.
    """

    target: float | None
    policy: ReferralPoint
    p_value: float | None
    help: Help
    points: tuple[ReferralPoint, ...]
    aurc: float
    aurc_random: float
    aurc_best: float
    curve_referred: tuple[float, ...]
    curve_accuracy: tuple[float, ...]


def referral(
    right: torch.Tensor, top: torch.Tensor, uncertainties: Sequence[Uncertainty], target: float | None
) -> Referral:
    """Measure the referral of N images.

    Args:
        right: whether each prediction is right, bool (N,).
        top: probability of each prediction, (N,).
        uncertainties: decisions by the card's policy.
    """
    order = referral_order(top, uncertainties)
    wrong = (~right)[order].long()
    images, mistakes = len(wrong), int(wrong.sum())
    caught = torch.cat([torch.zeros(1, dtype=torch.int64), wrong.cumsum(0)])
    policy = sum(entry.reason is not None for entry in uncertainties)

    def point(referred: int) -> ReferralPoint:
        hits = int(caught[referred])
        accepted = images - referred
        return ReferralPoint(
            referred=share(referred, images),
            accuracy=share(accepted - (mistakes - hits), accepted) if accepted else None,
            caught=share(hits, mistakes) if mistakes else None,
        )

    p_value = float(hypergeom.sf(int(caught[policy]) - 1, images, mistakes, policy)) if mistakes else None
    indices = sorted({round(index) for index in torch.linspace(0, images - 1, min(images, MAX_POINTS)).tolist()})
    remaining = 1 - (mistakes - caught[:-1]).double() / torch.arange(images, 0, -1)
    return Referral(
        target=target,
        policy=point(policy),
        p_value=p_value,
        help=_help(images, mistakes, policy, p_value),
        points=tuple(point(round(images * part)) for part in SHARES),
        aurc=float((1 - remaining).mean()),
        aurc_random=mistakes / images,
        aurc_best=_best_area(images, mistakes),
        curve_referred=tuple(index / images for index in indices),
        curve_accuracy=tuple(float(remaining[index]) for index in indices),
    )


def referral_order(top: torch.Tensor, uncertainties: Sequence[Uncertainty]) -> torch.Tensor:
    """Return the indices of the images, the first to refer first, int64 (N,).

    Images that the policy refers come first: those out of distribution, the highest score first; those with too large a
    set; and those that are too improbable. All others follow, the least probable first. Equal images are in a random
    order, because the order of files often follows the classes.
    """
    ranks = {"out_of_distribution": 0, "ambiguous": 1, "unsure": 2, None: 3}
    probabilities = top.round(decimals=DIGITS).tolist()
    shuffled = torch.randperm(len(top), generator=torch.Generator().manual_seed(SEED)).tolist()

    def key(index: int) -> tuple[int, float]:
        entry = uncertainties[index]
        rank = ranks[entry.reason]
        return rank, -entry.score if rank == 0 else probabilities[index]

    return torch.tensor(sorted(shuffled, key=key))


def _help(images: int, mistakes: int, referred: int, p_value: float | None) -> Help:
    if not referred:
        return "refers nothing"
    if p_value is None:
        return "cannot be shown"
    if p_value <= 1 - CONFIDENCE:
        return "helps"
    half = float(hypergeom.sf((mistakes + 1) // 2 - 1, images, mistakes, referred))
    return "does not help" if mistakes >= MIN_MISTAKES and half <= 1 - CONFIDENCE else "cannot be shown"


def _best_area(images: int, mistakes: int) -> float:
    """Return the area under the curve of an order in which all mistakes come first."""
    accepted = torch.arange(images, 0, -1).double()
    return float(((accepted - (images - mistakes)).clamp(min=0) / accepted).mean())
