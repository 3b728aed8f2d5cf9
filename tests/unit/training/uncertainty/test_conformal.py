from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from handlers.uncertainty import rank_scores, set_sizes
from models.card import Conformal
from training.uncertainty.conformal import conservative_rank, fit_threshold

CLASSES = 8
SEEDS = 1000


def weak(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities that are sharper than is right, and labels: the first class is right in half of all cases."""
    logits = torch.randn(count, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((1.5 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    return (3 * logits).softmax(dim=1), labels


def covered(probabilities: torch.Tensor, labels: torch.Tensor, conformal: Conformal) -> torch.Tensor:
    """Return for each row if its set has the label."""
    found = []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda index: -row[index])
        before, members = 0.0, set()
        for rank, index in enumerate(order, start=1):
            score = 0.0 if rank == 1 else before + conformal.penalty * max(0, rank - conformal.free)
            if round(score, 6) <= conformal.threshold:
                members.add(index)
            before += row[index]
        found.append(label in members)
    return torch.tensor(found)


@pytest.mark.slow
@pytest.mark.parametrize(("penalty", "free"), [(0.0, 0), (0.05, 1)], ids=["aps", "raps"])
@pytest.mark.parametrize(("count", "coverage"), [(99, 0.9), (39, 0.8), (50, 0.95)])
def test_a_new_image_is_covered_exactly_as_often_as_split_conformal_promises(
    penalty: float, free: int, count: int, coverage: float
) -> None:
    """Each seed its own calibration split and one new image: then hits are binomial with p = rank / (count + 1)."""
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(SEEDS):
        probabilities, labels = weak(count + 1, generator)
        threshold, _ = fit_threshold(probabilities[:-1], labels[:-1], coverage, penalty=penalty, free=free)
        method = "raps" if penalty else "aps"
        conformal = Conformal(method=method, coverage=coverage, threshold=threshold, penalty=penalty, free=free)
        hits += int(covered(probabilities[-1:], labels[-1:], conformal))
    promised = math.ceil((count + 1) * coverage) / (count + 1)
    assert promised >= coverage
    deviation = math.sqrt(promised * (1 - promised) / SEEDS)
    assert hits / SEEDS == pytest.approx(promised, abs=3 * deviation)


@pytest.mark.parametrize(("method", "penalty", "free"), [("aps", 0.0, 0), ("raps", 0.05, 2), ("raps", 0.3, 0)])
def test_the_sets_are_those_of_the_definition_class_by_class(method: str, penalty: float, free: int) -> None:
    probabilities, labels = weak(300, torch.Generator().manual_seed(1))
    threshold, remarks = fit_threshold(probabilities, labels, 0.9, penalty=penalty, free=free)
    conformal = Conformal(method=method, coverage=0.9, threshold=threshold, penalty=penalty, free=free)
    ranked, order = probabilities.sort(dim=1, descending=True)
    ranks = (order == labels[:, None]).int().argmax(dim=1)
    inside = ranks < set_sizes(ranked, conformal)
    assert torch.equal(inside, covered(probabilities, labels, conformal))
    assert remarks == ()
    assert int(inside.sum()) == conservative_rank(300, 0.9), "so many calibration images, and no more"


def test_a_penalty_makes_large_sets_smaller() -> None:
    probabilities, labels = weak(2000, torch.Generator().manual_seed(2))
    ranked = probabilities.sort(dim=1, descending=True).values
    largest = {}
    for penalty in (0.0, 0.2):
        threshold, _ = fit_threshold(probabilities, labels, 0.9, penalty=penalty, free=1)
        conformal = Conformal(method="raps", coverage=0.9, threshold=threshold, penalty=penalty, free=1)
        largest[penalty] = int(set_sizes(ranked, conformal).max())
    assert largest[0.2] < largest[0.0]


def test_too_few_images_put_every_class_into_every_set_and_say_so() -> None:
    probabilities, labels = weak(8, torch.Generator().manual_seed(3))
    threshold, (remark,) = fit_threshold(probabilities, labels, 0.9, penalty=0.5, free=0)
    assert "8 calibration images are too few for sets with coverage 0.9" in remark
    assert "9 or more are needed" in remark
    sharp = torch.zeros(1, CLASSES, dtype=torch.float64)
    sharp[0, 0] = 1
    conformal = Conformal(method="raps", coverage=0.9, threshold=threshold, penalty=0.5, free=0)
    assert set_sizes(sharp, conformal).tolist() == [CLASSES]
    nine, again = weak(9, torch.Generator().manual_seed(3))
    assert fit_threshold(nine, again, 0.9, penalty=0.5, free=0)[0] < threshold


def test_a_class_that_is_right_more_often_than_asked_is_alone_and_that_is_said() -> None:
    probabilities = torch.tensor([[0.7, 0.3]], dtype=torch.float64).repeat(100, 1)
    labels = torch.tensor([0] * 95 + [1] * 5)
    threshold, (remark,) = fit_threshold(probabilities, labels, 0.9, penalty=0.0, free=0)
    assert threshold == 0
    assert "right on 95.0% of the calibration images, more than coverage 0.9" in remark


def test_the_scores_of_a_row_begin_with_0_and_rise() -> None:
    ranked = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64)
    assert rank_scores(ranked, 0.0, 0).tolist() == [[0.0, 0.5, 0.75, 0.9]]
    assert rank_scores(ranked, 0.01, 0).tolist() == [[0.0, 0.52, 0.78, 0.94]]
    assert rank_scores(ranked, 0.01, 2).tolist() == [[0.0, 0.5, 0.76, 0.92]]


@pytest.mark.parametrize(
    ("count", "share", "rank"), [(99, 0.9, 90), (100, 0.9, 91), (9, 0.9, 9), (8, 0.9, 9), (99, 0.07, 7), (0, 0.5, 1)]
)
def test_the_rank_is_rounded_up_and_no_further(count: int, share: float, rank: int) -> None:
    assert conservative_rank(count, share) == rank


def test_a_rounded_score_is_the_very_number_that_the_card_reads_back() -> None:
    scores = rank_scores(torch.rand(200, 7, dtype=torch.float64).softmax(dim=1), 0.0, 0)
    assert np.array_equal(scores.numpy(), [[float(f"{score:.6f}") for score in row] for row in scores.tolist()])
