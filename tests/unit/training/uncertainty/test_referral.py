from __future__ import annotations

from typing import Any

import pytest
import torch

from models.card import Conformal, Policy
from training.uncertainty.referral import PolicySettings, fit_policy

# Top probabilities 0.505, 0.510, ... 1.000 of 100 images.
TOP = 0.5 + torch.arange(1, 101, dtype=torch.float64) / 200
PROBABILITIES = torch.stack((TOP, 1 - TOP), dim=1)
NONE = torch.zeros(100, dtype=torch.bool)


def referred(policy: Policy, is_ood: torch.Tensor = NONE, set_sizes: torch.Tensor | None = None) -> int:
    refer = policy.min_probability > TOP
    if policy.out_of_distribution:
        refer = refer | is_ood
    if set_sizes is not None and policy.max_set_size is not None:
        refer = refer | (set_sizes > policy.max_set_size)
    return int(refer.sum())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.2, 1.0])
def test_auto_refers_the_asked_share_of_the_least_probable_predictions(share: float) -> None:
    policy = fit_policy(PolicySettings(), share, PROBABILITIES, NONE, None)
    assert referred(policy) == min(round(100 * share), 99)  # nothing is less probable than the most probable one


def test_images_that_are_out_of_distribution_count_as_referred() -> None:
    is_ood = torch.arange(100) >= 97
    policy = fit_policy(PolicySettings(), 0.05, PROBABILITIES, is_ood, None)
    assert referred(policy, is_ood) == 5
    assert policy.min_probability == pytest.approx(0.515)
    off = fit_policy(PolicySettings(out_of_distribution=False), 0.05, PROBABILITIES, is_ood, None)
    assert referred(off, is_ood) == 5


def test_large_sets_count_as_referred() -> None:
    conformal = Conformal(method="lac", coverage=0.9, thresholds=(0.51,))  # two classes up to 0.51: the first two
    sizes = torch.where(1 - PROBABILITIES[:, 1] <= 0.51, 2, 1)
    policy = fit_policy(PolicySettings(max_set_size=1), 0.05, PROBABILITIES, NONE, conformal)
    assert policy.max_set_size == 1
    assert referred(policy, set_sizes=sizes) == 5


def test_more_foreign_images_than_may_be_referred_leave_the_probability_alone() -> None:
    assert fit_policy(PolicySettings(), 0.05, PROBABILITIES, torch.arange(100) < 20, None).min_probability == 0


@pytest.mark.parametrize(
    "settings", [{"min_probability": 0.7}, {"min_probability": 0.0}, {"max_set_size": 2, "min_probability": 0.5}]
)
def test_policy_of_the_user_is_not_changed(settings: dict[str, Any]) -> None:
    conformal = Conformal(method="lac", coverage=0.9, thresholds=(0.5,))
    policy = fit_policy(PolicySettings(**settings), 0.05, PROBABILITIES, NONE, conformal)
    assert policy == Policy(**settings)


def test_set_size_is_no_rule_for_a_model_without_sets() -> None:
    policy = fit_policy(PolicySettings(max_set_size=1), 0.05, PROBABILITIES, NONE, None)
    assert policy.max_set_size is None


def test_one_image_is_accepted() -> None:
    assert fit_policy(PolicySettings(), 0.05, PROBABILITIES[:1], NONE[:1], None).min_probability == 0
