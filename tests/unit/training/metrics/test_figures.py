"""The figures of a report, against independent calculations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from handlers.decision import Reason, Uncertainty
from tests.unit.training.colors import UNCERTAINTY, card
from training.evaluate import Evaluation
from training.metrics import OodData, figures
from training.metrics.interval import Share, share
from training.report.pictures.reliability import bins
from training.report.words import percent, quantity, reach, time


def estimate(labels: list[str], score: float = -5.0, reason: Reason | None = None) -> Uncertainty:
    return Uncertainty(labels, score, UNCERTAINTY.ood.threshold, "energy", reason)


@pytest.fixture
def random() -> Evaluation:
    """400 answers over 3 classes, more often right than not."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 3, (400,), generator=generator)
    logits = torch.randn(400, 3, generator=generator) * 2
    logits[torch.arange(400), labels] += 2
    return Evaluation(card(uncertainty=UNCERTAINTY), labels, logits)


def test_wilson_intervals_are_those_of_the_literature() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    for count, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = share(count, total)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize("total", [1, 3, 7, 35, 100, 999])
def test_an_interval_holds_its_share(total: int) -> None:
    for count in range(total + 1):
        found = share(count, total)
        assert 0 <= found.low <= found.value <= found.high <= 1
    assert share(total, total).high == 1


def test_each_class_has_its_recall_precision_and_f1(random: Evaluation) -> None:
    found = figures(random).classes
    answered, labels = random.answered, random.labels
    for index, one in enumerate(found):
        right = int(((answered == index) & (labels == index)).sum())
        assert one.images == int((labels == index).sum())
        assert one.recall == share(right, one.images)
        assert one.precision == share(right, int((answered == index).sum()))
    assert [one.f1 for one in found] == pytest.approx(f1_score(labels, answered, average=None))


def test_unknown_class_figures_are_none() -> None:
    logits = torch.tensor([[5.0, 0, 0], [5.0, 0, 0]])
    red, green, blue = figures(Evaluation(card(), torch.tensor([0, 1]), logits)).classes
    assert (red.recall, red.precision) == (share(1, 1), share(1, 2))
    assert (green.recall, green.precision, green.f1) == (share(0, 1), None, 0)
    assert (blue.recall, blue.precision, blue.f1) == (None, None, None)


def test_the_temperature_changes_what_is_served_and_not_what_was_before(random: Evaluation) -> None:
    found, raw = figures(random), figures(dataclasses.replace(random, card=card()))
    assert found.before == raw.before == raw.after
    assert found.after != found.before
    assert found.loss == found.after.nll
    assert found.accuracy == raw.accuracy


def test_the_brier_score_is_over_all_classes(random: Evaluation) -> None:
    expected = brier_score_loss(random.labels, random.probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert figures(random).after.brier == pytest.approx(expected)


def test_the_calibration_error_is_that_of_the_bins_drawn(random: Evaluation) -> None:
    found = bins(random.probabilities, random.labels)
    assert int(found.counts.sum()) == 400
    assert figures(random).after.ece == pytest.approx(found.error, abs=1e-6)


def test_a_model_that_is_sure_and_half_right_is_off_by_a_half() -> None:
    logits = torch.tensor([[50.0, 0, 0]] * 10)
    assert figures(Evaluation(card(), torch.tensor([0, 1] * 5), logits)).after.ece == pytest.approx(0.5)


def test_sets_are_counted_by_size_and_by_class() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    judged = [estimate(["red"]), estimate(["green", "red"]), estimate(["blue", "red"]), estimate(["blue"])]
    sets = figures(
        Evaluation(card(uncertainty=UNCERTAINTY), labels, torch.eye(3)[[0, 1, 2, 2]], judged)
    ).prediction_sets
    assert sets is not None
    assert (sets.coverage, sets.mean_size) == (share(3, 4), 1.5)
    assert sets.classes == (share(2, 2), share(0, 1), share(1, 1))
    assert [(one.size, one.images, one.coverage) for one in sets.sizes] == [(1, 2, share(2, 2)), (2, 2, share(1, 2))]


def test_referred_answers_are_counted_by_reason_and_left_out_of_the_accuracy() -> None:
    judged = [
        estimate(["red"]),
        estimate(["red"]),
        estimate(["red"], reason="unsure"),
        estimate(["red"], reason="unsure"),
    ]
    logits = torch.eye(3)[[0, 0, 0, 0]]
    decisions = figures(Evaluation(card(uncertainty=UNCERTAINTY), torch.tensor([0, 1, 1, 0]), logits, judged)).decisions
    assert decisions is not None
    assert (decisions.accepted, decisions.accuracy, decisions.reasons) == (share(2, 4), share(1, 2), {"unsure": 2})


def test_accuracy_is_none_when_everything_is_referred() -> None:
    judged = [estimate(["red"], reason="ambiguous")]
    decisions = figures(
        Evaluation(card(uncertainty=UNCERTAINTY), torch.tensor([0]), torch.eye(3)[[0]], judged)
    ).decisions
    assert decisions is not None
    assert decisions.accuracy is None


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_strange_images_are_told_whatever_the_scale_of_scores(scale: float) -> None:
    generator = np.random.default_rng(0)
    own, others = generator.normal(0, scale, 200), generator.normal(1.5 * scale, scale, 90)
    uncertainty = UNCERTAINTY.model_copy(update={"ood": UNCERTAINTY.ood.model_copy(update={"threshold": scale})})
    test = Evaluation(
        card(uncertainty=uncertainty),
        torch.zeros(200).long(),
        torch.eye(3)[[0] * 200],
        [estimate(["red"], one) for one in own],
    )
    found = figures(test, OodData("beads", torch.tensor(others))).ood_detection
    assert found is not None
    assert found.auroc == pytest.approx(roc_auc_score([0] * 200 + [1] * 90, [*own, *others]), abs=1e-6)
    assert found.false_positive_rate == share(int((own > scale).sum()), 200)
    assert found.detected == share(int((others > scale).sum()), 90)


def test_without_trust_there_are_no_such_figures(random: Evaluation) -> None:
    found = figures(dataclasses.replace(random, card=card()))
    assert (found.prediction_sets, found.ood_detection, found.decisions) == (None, None, None)


def test_figures_as_people_write_them() -> None:
    assert [percent(value) for value in (1, 0.98056, 0.973, 0.99998, 0)] == [
        "100 %",
        "98.06 %",
        "97.3 %",
        "99.99 %",
        "0 %",
    ]
    assert [quantity(value, "B") for value in (0, 999, 999_999, 1_263_568, 4.1e9)] == [
        "0 B",
        "999 B",
        "1 MB",
        "1.26 MB",
        "4.1 GB",
    ]
    assert [time(value) for value in (12.34, 250, 12_000)] == ["12.3 s", "4 min 10 s", "3 h 20 min"]
    assert reach(Share(0.5, 0.4444, 1.0, 1, 2)) == "44.4 to 100.0 %"
