"""The calibration error, its interval and its null, on predictions whose true calibration is known."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torchmetrics.functional import classification

from training.metrics.calibration import BINS, Quality, bins, change, quality, reliability

NAMES = ("a", "b", "c")


def predictions(images: int, sharpness: float, seed: int, bias: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (N, 3), and labels that are drawn from them after their logits were divided by `bias`."""
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(images, 3, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / bias).softmax(dim=1), 1, generator=generator)[:, 0]
    return logits.softmax(dim=1), labels


def measured(probabilities: torch.Tensor, labels: torch.Tensor) -> Quality:
    losses = -probabilities.gather(1, labels[:, None])[:, 0].log()
    return quality(probabilities, losses, labels)


def test_the_calibration_error_is_that_of_torchmetrics() -> None:
    probabilities, labels = predictions(400, 2.0, 1)
    expected = classification.multiclass_calibration_error(probabilities, labels, 3, n_bins=BINS, norm="l1")
    assert measured(probabilities, labels).ece == pytest.approx(float(expected), abs=1e-6)
    assert bins(probabilities, labels).error == pytest.approx(float(expected), abs=1e-6)


def test_the_null_is_what_calibrated_models_show() -> None:
    # The mean of the null on one test set, against the mean error of 60 other calibrated test sets of this size.
    null = measured(*predictions(300, 3.0, 0))
    errors = torch.tensor([bins(*predictions(300, 3.0, seed)).error for seed in range(1, 61)])
    assert null.ece_calibrated == pytest.approx(float(errors.mean()), rel=0.15)
    assert 0.85 <= float((errors <= null.ece_calibrated_high).double().mean()) <= 1


def test_calibrated_predictions_are_seldom_called_off() -> None:
    called = [measured(*predictions(200, 3.0, seed)) for seed in range(40)]
    assert sum(found.is_off for found in called) <= 6  # 5 % are expected; 7 or more have a probability of 0.3 %
    assert all(found.ece_low == 0 for found in called if not found.is_off)


@pytest.mark.parametrize("bias", [2.5, 0.4])
def test_overconfidence_and_underconfidence_are_called_off(bias: float) -> None:
    found = measured(*predictions(1000, 2.0, 5, bias))
    assert found.is_off
    assert 0 < found.ece_low < found.ece < found.ece_high


def test_the_interval_contains_the_true_error() -> None:
    true = bins(*predictions(400_000, 2.0, 0, bias=1.6)).error
    found = [measured(*predictions(300, 2.0, seed, bias=1.6)) for seed in range(1, 41)]
    hits = sum(entry.ece_low <= true <= entry.ece_high for entry in found)
    assert hits >= 35  # of 40; below 95 % coverage, 34 or fewer have a probability of 0.5 %


def test_figures_are_the_same_each_time() -> None:
    assert asdict(measured(*predictions(50, 2.0, 1))) == asdict(measured(*predictions(50, 2.0, 1)))


def test_large_test_set_is_drawn_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(*predictions(60, 2.0, 1))
    monkeypatch.setattr("training.metrics.calibration.CHUNK", 60 * 7)
    chunked = measured(*predictions(60, 2.0, 1))
    assert chunked.ece == whole.ece
    assert chunked.ece_calibrated == pytest.approx(whole.ece_calibrated, rel=0.1)


def test_change_is_paired_image_by_image() -> None:
    before = torch.tensor([1.0, 2.0, 9.0, 4.0], dtype=torch.float64)
    found = change(before, before - 0.5)
    assert (found.nll, found.low, found.high) == (-0.5, -0.5, -0.5)
    assert change(before[:1], before[:1]).high == float("inf")


def test_reliability_compares_probability_and_accuracy_of_the_predictions_of_a_class() -> None:
    probabilities = torch.tensor([[0.9, 0.1, 0]] * 60 + [[0.4, 0.6, 0]] * 40, dtype=torch.float64)
    labels = torch.tensor([0] * 54 + [1] * 6 + [1] * 4 + [0] * 36)
    first, second, third = reliability(NAMES, probabilities, labels)
    assert first.right is not None
    assert (first.probability, first.right.count, first.right.total) == (pytest.approx(0.9), 54, 60)
    assert first.verdict is None
    assert second.right is not None
    assert (second.right.count, second.right.total, second.verdict) == (4, 40, "too sure")
    assert (third.probability, third.right, third.verdict) == (None, None, None)


def test_a_timid_class_is_called_so() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.2]] * 80, dtype=torch.float64)
    assert reliability(NAMES, probabilities, torch.zeros(80).long())[0].verdict == "too timid"


def test_many_classes_are_seldom_called_off_by_chance() -> None:
    # 100 classes, each with a 95 % interval: without a correction, about five would be called off.
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(6000, 100, generator=generator, dtype=torch.float64) * 5
    probabilities = logits.softmax(dim=1)
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    called = reliability(tuple(map(str, range(100))), probabilities, labels)
    assert sum(entry.verdict is not None for entry in called) <= 1
