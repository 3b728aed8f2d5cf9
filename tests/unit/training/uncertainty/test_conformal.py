from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from handlers.uncertainty.prediction_sets import membership, set_scores
from models.card import Conformal
from training.uncertainty.conformal import SetRule, auto_coverage, conservative_rank, coverage_interval, fit_sets

CLASSES = 8
SEEDS = 1000


def weak(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities that are sharper than is right, and labels: the first class is right in half of all cases."""
    logits = torch.randn(count, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((1.5 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    return (3 * logits).softmax(dim=1), labels


def covered(probabilities: torch.Tensor, labels: torch.Tensor, conformal: Conformal) -> torch.Tensor:
    """Return for each row if its set has the label, by the definition of each score, class by class."""
    hits = []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda index: -row[index])
        before, members = 0.0, set()
        for rank, index in enumerate(order, start=1):
            score = 1 - row[index] if conformal.method == "lac" else before
            if conformal.method == "raps":
                score += conformal.penalty * max(0, rank - conformal.free)
            if rank == 1:
                score = 0.0
            threshold = conformal.thresholds[index] if len(conformal.thresholds) > 1 else conformal.thresholds[0]
            if round(score, 6) <= threshold:
                members.add(index)
            before += row[index]
        hits.append(label in members)
    return torch.tensor(hits)


def rule(method: str = "lac", coverage: Any = 0.9, **settings: Any) -> SetRule:
    return SetRule(method=method, coverage=coverage, **({"class_conditional": False} | settings))  # type: ignore[arg-type]


def fitted(probabilities: torch.Tensor, labels: torch.Tensor, chosen: SetRule) -> Conformal:
    conformal = fit_sets(probabilities, labels, chosen).conformal
    assert conformal is not None
    return conformal


RULES = [rule("lac"), rule("aps"), rule("raps", penalty=0.05, free=1), rule("raps", penalty=0.3)]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", RULES[:3], ids=lambda chosen: chosen.method)
@pytest.mark.parametrize(("count", "coverage"), [(99, 0.9), (39, 0.8), (50, 0.95)])
def test_new_image_is_covered_exactly_as_often_as_split_conformal_promises(
    chosen: SetRule, count: int, coverage: float
) -> None:
    """Each seed its own calibration split and one new image: then hits are binomial with p = rank / (count + 1)."""
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(SEEDS):
        probabilities, labels = weak(count + 1, generator)
        conformal = fitted(probabilities[:-1], labels[:-1], replace(chosen, coverage=coverage))
        hits += int(covered(probabilities[-1:], labels[-1:], conformal))
    promised = math.ceil((count + 1) * coverage) / (count + 1)
    assert promised >= coverage
    deviation = math.sqrt(promised * (1 - promised) / SEEDS)
    assert hits / SEEDS == pytest.approx(promised, abs=3 * deviation)


@pytest.mark.parametrize("class_conditional", [False, True])
@pytest.mark.parametrize("chosen", RULES, ids=lambda chosen: f"{chosen.method} {chosen.penalty}")
def test_sets_are_those_of_the_definition_class_by_class(chosen: SetRule, class_conditional: bool) -> None:
    probabilities, labels = weak(300, torch.Generator().manual_seed(1))
    conformal = fitted(probabilities, labels, replace(chosen, class_conditional=class_conditional))
    ranked, order = probabilities.sort(dim=1, descending=True)
    members = membership(ranked, order, conformal)
    inside = members[order == labels[:, None]]
    assert torch.equal(inside, covered(probabilities, labels, conformal))
    if class_conditional:
        for label in range(CLASSES):
            own = labels == label
            assert int(inside[own].sum()) == conservative_rank(int(own.sum()), 0.9)
    else:
        assert int(inside.sum()) == conservative_rank(300, 0.9), "so many calibration images, and no more"


def test_lac_has_the_smallest_sets() -> None:
    probabilities, labels = weak(2000, torch.Generator().manual_seed(2))
    ranked, order = probabilities.sort(dim=1, descending=True)
    sizes = {
        chosen.method: float(
            membership(ranked, order, fitted(probabilities, labels, chosen)).sum(dim=1).double().mean()
        )
        for chosen in RULES[:2]
    }
    assert sizes["lac"] < sizes["aps"]


def test_penalty_makes_the_largest_sets_smaller() -> None:
    probabilities, labels = weak(2000, torch.Generator().manual_seed(2))
    ranked, order = probabilities.sort(dim=1, descending=True)
    largest = [
        int(membership(ranked, order, fitted(probabilities, labels, chosen)).sum(dim=1).max())
        for chosen in (rule("aps"), rule("raps", penalty=0.2, free=1))
    ]
    assert largest[1] < largest[0]


def test_too_few_images_give_no_sets_and_the_number_that_is_needed() -> None:
    result = fit_sets(*weak(8, torch.Generator().manual_seed(3)), rule())
    assert result.conformal is None
    assert result.reason == "8 calibration images are too few for coverage 0.9: 9 or more are needed"
    assert result.remarks == (f"the model gives no prediction sets: {result.reason}",)
    assert fit_sets(*weak(9, torch.Generator().manual_seed(3)), rule()).conformal is not None


def two_classes(count: int, mistakes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first class has a probability of 0.7 to 0.9 in every row, and is wrong in the last rows."""
    first = torch.linspace(0.9, 0.7, count, dtype=torch.float64)
    return torch.stack((first, 1 - first), dim=1), (torch.arange(count) >= count - mistakes).long()


def test_coverage_below_the_accuracy_gives_sets_of_one_class_and_a_remark() -> None:
    result = fit_sets(*two_classes(100, 5), rule())
    assert result.conformal is not None
    assert (result.conformal.thresholds, result.conformal.coverage_high) == ((0.0,), 1.0)
    (remark,) = result.remarks
    assert "right on 95.0% of the calibration images, more than coverage 0.9" in remark


@pytest.mark.parametrize(
    ("images", "mistakes", "coverage"),
    [
        (360, 7, 0.98892),  # halfway is 0.98892
        (360, 2, None),  # 4 of 361 cannot be told from 2 of 360
        (360, 60, 0.915512),
        (100, 50, 0.9),
        (30, 6, 0.9),
        (30, 3, None),
        (1000, 0, None),
        (5000, 10, 0.9989),
    ],
)
def test_auto_coverage_is_above_the_accuracy_or_there_is_none(
    images: int, mistakes: int, coverage: float | None
) -> None:
    assert auto_coverage(images, mistakes, images) == coverage
    if coverage is not None:
        assert coverage > 1 - mistakes / images


def test_auto_coverage_gives_sets_of_two_classes_where_the_network_errs() -> None:
    conformal = fitted(*two_classes(360, 20), rule(coverage="auto"))
    probabilities, labels = two_classes(360, 20)
    ranked, order = probabilities.sort(dim=1, descending=True)
    sizes = membership(ranked, order, conformal).sum(dim=1)
    assert set(sizes.tolist()) == {1, 2}
    assert int((sizes[labels == 1] == 2).sum()) >= 10, "the least probable ones, which are the mistakes"


def test_network_without_mistakes_gets_no_sets_and_a_reason() -> None:
    result = fit_sets(*two_classes(360, 0), rule(coverage="auto"))
    assert result.conformal is None
    assert result.reason is not None
    assert "right on 100.0% of the calibration images" in result.reason
    assert "more calibration images are needed" in result.reason


@pytest.mark.parametrize(("images", "low", "high"), [(30, 0.78, 0.98), (360, 0.87, 0.93), (5000, 0.892, 0.908)])
def test_coverage_interval_is_that_of_the_beta_distribution(images: int, low: float, high: float) -> None:
    """Published figures of the audit; the simulation draws uniform scores, which have the coverage exactly."""
    found = coverage_interval(images, 0.9)
    assert found == pytest.approx((low, high), abs=0.006)
    drawn = torch.rand(4000, images, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    thresholds = drawn.sort(dim=1).values[:, conservative_rank(images, 0.9) - 1]
    inside = (thresholds >= found[0]) & (thresholds <= found[1])
    assert float(inside.double().mean()) == pytest.approx(0.95, abs=0.012)


def test_class_conditional_sets_cover_each_class() -> None:
    probabilities, labels = weak(20_000, torch.Generator().manual_seed(4))
    skewed = probabilities.clone()
    skewed[:, 0] /= 8  # the network underrates the first class
    skewed /= skewed.sum(dim=1, keepdim=True)
    coverage = {}
    for class_conditional in (False, True):
        conformal = fitted(skewed[:10_000], labels[:10_000], rule(class_conditional=class_conditional))
        first = labels[10_000:] == 0
        coverage[class_conditional] = float(covered(skewed[10_000:], labels[10_000:], conformal)[first].double().mean())
    assert coverage[False] < 0.8
    assert coverage[True] == pytest.approx(0.9, abs=0.03)


def test_few_images_of_a_class_are_remarked_on() -> None:
    result = fit_sets(*weak(300, torch.Generator().manual_seed(1)), rule(class_conditional=True))
    (remark,) = result.remarks
    assert "calibration images of the smallest class make class-conditional sets large: 50 of each" in remark


@pytest.mark.parametrize(
    ("method", "penalty", "free", "scores"),
    [
        ("lac", 0.0, 0, [0.0, 0.75, 0.85, 0.9]),
        ("aps", 0.0, 0, [0.0, 0.5, 0.75, 0.9]),
        ("raps", 0.01, 0, [0.0, 0.52, 0.78, 0.94]),
        ("raps", 0.01, 2, [0.0, 0.5, 0.76, 0.92]),
    ],
)
def test_scores_of_a_row_begin_with_0_and_rise(method: Any, penalty: float, free: int, scores: list[float]) -> None:
    ranked = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64)
    conformal = Conformal(method=method, coverage=0.9, thresholds=(0.5,), penalty=penalty, free=free)
    assert set_scores(ranked, conformal).tolist() == [scores]


@pytest.mark.parametrize(
    ("count", "share", "rank"), [(99, 0.9, 90), (100, 0.9, 91), (9, 0.9, 9), (8, 0.9, 9), (99, 0.07, 7), (0, 0.5, 1)]
)
def test_rank_is_rounded_up_and_no_further(count: int, share: float, rank: int) -> None:
    assert conservative_rank(count, share) == rank


def test_rounded_score_is_the_very_number_that_the_card_reads_back() -> None:
    aps = Conformal(method="aps", coverage=0.9, thresholds=(0.5,))
    scores = set_scores(torch.rand(200, 7, dtype=torch.float64).softmax(dim=1), aps)
    assert np.array_equal(scores.numpy(), [[float(f"{score:.6f}") for score in row] for row in scores.tolist()])
