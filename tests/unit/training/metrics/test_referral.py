"""The risk-coverage curve, on orders with known figures."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import auc

from handlers.decision import Reason, Uncertainty
from training.metrics.interval import share
from training.metrics.referral import referral, referral_order


def decision(reason: Reason | None = None, score: float = 0.0) -> Uncertainty:
    return Uncertainty(["a"], score, 1.0, "energy", reason)


def test_the_policys_images_come_first() -> None:
    decisions = [
        decision(),
        decision("unsure"),
        decision("out_of_distribution", score=2.0),
        decision("ambiguous"),
        decision("out_of_distribution", score=3.0),
        decision("unsure"),
    ]
    top = torch.tensor([0.9, 0.4, 0.99, 0.95, 0.98, 0.3])
    assert referral_order(top, decisions).tolist() == [4, 2, 3, 5, 1, 0]


def test_equally_probable_images_are_not_referred_in_the_order_of_files() -> None:
    # The files of the second class, which is wrong, come last.
    right = torch.tensor([True] * 500 + [False] * 500)
    found = referral(right, torch.ones(1000), [decision()] * 1000, None)
    assert found.aurc == pytest.approx(found.aurc_random, abs=0.05)


def test_caught_mistakes_and_accuracy_of_the_others_are_counted() -> None:
    # 100 images; the 10 least probable contain 4 of the 5 mistakes. The policy refers these 10.
    top = torch.linspace(0.2, 1, 100)
    right = torch.ones(100).bool()
    right[[0, 3, 5, 9, 50]] = False
    found = referral(right, top, [decision("unsure")] * 10 + [decision()] * 90, 0.1)
    assert found.target == 0.1
    assert (found.policy.referred, found.policy.accuracy, found.policy.caught) == (
        share(10, 100),
        share(89, 90),
        share(4, 5),
    )
    assert found.help == "helps"
    # 4 or 5 of the 5 mistakes are among 10 of 100 images: (C(10,4) 90 + C(10,5)) / C(100,5).
    assert found.p_value == pytest.approx((210 * 90 + 252) / 75_287_520)
    at = {point.referred.count: point for point in found.points}
    assert sorted(at) == [0, 1, 2, 5, 10, 20]
    assert at[0].accuracy == share(95, 100)
    assert (at[5].caught, at[5].accuracy) == (share(2, 5), share(92, 95))
    assert at[10] == found.policy


def test_the_curve_starts_with_all_images_and_has_the_area_of_its_mistakes() -> None:
    top = torch.linspace(0.2, 1, 50)
    right = torch.rand(50, generator=torch.Generator().manual_seed(0)) < 0.7
    found = referral(right, top, [decision()] * 50, None)
    assert found.curve_referred[0] == 0
    assert found.curve_accuracy[0] == pytest.approx(float(right.double().mean()))
    risks = [1 - float(right[referred:].double().mean()) for referred in range(50)]
    assert found.aurc == pytest.approx(sum(risks) / 50)
    assert list(found.curve_accuracy) == pytest.approx([1 - risk for risk in risks])
    assert found.aurc_best <= found.aurc
    assert 0 <= auc(found.curve_referred, found.curve_accuracy) <= 1


def test_the_best_area_is_that_of_mistakes_in_front() -> None:
    right = torch.tensor([False] * 6 + [True] * 14)
    found = referral(right, torch.linspace(0.1, 1, 20), [decision()] * 20, None)
    assert found.aurc == pytest.approx(found.aurc_best)


@pytest.mark.parametrize(
    ("mistakes", "referred", "caught", "verdict"),
    [
        (0, 10, 0, "cannot be shown"),
        (1, 10, 0, "cannot be shown"),
        (1, 5, 0, "cannot be shown"),
        (5, 10, 0, "does not help"),
        (4, 30, 1, "cannot be shown"),  # half of the mistakes would be caught by chance in 1 of 3 cases
        (1, 10, 1, "cannot be shown"),  # one image in ten is caught by chance
        (20, 10, 2, "does not help"),
        (20, 10, 0, "does not help"),
        (20, 10, 7, "helps"),
        (20, 0, 0, "refers nothing"),
        (2, 10, 2, "helps"),
    ],
)
def test_help_is_shown_only_where_chance_does_not_explain_it(
    mistakes: int, referred: int, caught: int, verdict: str
) -> None:
    right = torch.ones(100).bool()
    right[:caught] = False
    right[100 - (mistakes - caught) :] = mistakes == caught
    decisions = [decision("unsure")] * referred + [decision()] * (100 - referred)
    found = referral(right, torch.linspace(0.2, 1, 100), decisions, None)
    assert (found.policy.caught.count if found.policy.caught else 0) == caught
    assert found.help == verdict


def test_everything_referred_leaves_no_accuracy() -> None:
    found = referral(torch.tensor([True, False]), torch.tensor([0.5, 0.6]), [decision("unsure")] * 2, None)
    assert found.policy.accuracy is None


def test_long_curve_is_thinned() -> None:
    found = referral(torch.ones(5000).bool(), torch.rand(5000), [decision()] * 5000, None)
    assert len(found.curve_referred) == 400
    assert found.curve_referred[-1] == pytest.approx(4999 / 5000)
