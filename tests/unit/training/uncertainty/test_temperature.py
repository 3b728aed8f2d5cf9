from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.uncertainty.temperature import HOTTEST, MIN_MISTAKES, Temperature, fit_temperature


def drawn(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of 5 classes, and labels that come out as often as their softmax says."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]


def nearly_perfect(count: int, mistakes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A network that is sure of everything, and wrong on the last images."""
    labels = torch.arange(count) % 4
    logits = 8 * torch.eye(4, dtype=torch.float64)[labels]
    labels[count - mistakes :] = (labels[count - mistakes :] + 1) % 4
    return logits, labels


@pytest.mark.parametrize("truth", [0.4, 3.0, 4.5])
def test_fit_finds_the_temperature_that_the_logits_were_made_with(truth: float) -> None:
    logits, labels = drawn(20_000)
    fitted = fit_temperature((logits * truth).float(), labels)
    assert fitted.value == pytest.approx(truth, rel=0.04)
    assert fitted.evidence.verdict == "proven"
    assert fitted.remarks == ()


def test_fitted_temperature_lowers_the_loss_of_new_images() -> None:
    logits, labels = drawn(2_000, seed=1)
    fitted = fit_temperature(3 * logits[:1000], labels[:1000])
    before = functional.cross_entropy(3 * logits[1000:], labels[1000:])
    after = functional.cross_entropy(3 * logits[1000:] / fitted.value, labels[1000:])
    assert after < 0.8 * before


def test_calibrated_network_keeps_its_probabilities() -> None:
    """With T = 1 within a standard error, nothing is shown, and nothing changes."""
    values = [fit_temperature(*drawn(200, seed=seed)).value for seed in range(10)]
    assert values.count(1.0) >= 6
    assert all(0.75 < value < 1.35 for value in values)


@pytest.mark.parametrize("count", [20, 200])
def test_network_without_mistakes_keeps_its_probabilities(count: int) -> None:
    """Smoothed targets would answer 0.85 where every image is right; T below 1 would claim more than was seen."""
    fitted = fit_temperature(*nearly_perfect(count, mistakes=0))
    assert fitted.value == 1.0
    assert (fitted.evidence.mistakes, fitted.evidence.verdict) == (0, "unproven")
    (remark,) = fitted.remarks
    assert f"{count} calibration images have 0 mistakes, and {MIN_MISTAKES} are needed" in remark


def test_one_sure_mistake_does_not_decide_alone() -> None:
    logits, labels = nearly_perfect(150, mistakes=1)
    surest = (50 * logits / fit_temperature(50 * logits, labels).value).softmax(dim=1).amax(dim=1)
    assert float(surest.min()) > 0.99, "149 of 150 are right"


@pytest.mark.parametrize("logits_factor", [0.2, 0.5])
def test_few_mistakes_never_make_the_network_surer(logits_factor: float) -> None:
    logits, labels = nearly_perfect(200, mistakes=MIN_MISTAKES - 1)
    assert fit_temperature(logits_factor * logits, labels).value >= 1
    logits, labels = nearly_perfect(400, mistakes=MIN_MISTAKES)
    assert fit_temperature(0.2 * logits, labels).value < 1


def test_useless_network_gets_a_temperature_near_the_bound_and_a_remark() -> None:
    logits, labels = 60 * torch.eye(4).repeat(400, 1), torch.arange(4).repeat_interleave(400)
    fitted = fit_temperature(logits, labels)
    assert fitted.value == pytest.approx(HOTTEST, rel=0.1)
    assert "logits are too large for the 1600 calibration images" in fitted.remarks[-1]


def test_evidence_holds_the_losses_by_hand() -> None:
    logits, labels = drawn(100, seed=3)
    evidence = fit_temperature(4 * logits, labels).evidence
    assert (evidence.images, evidence.mistakes) == (100, int(((4 * logits).argmax(dim=1) != labels).sum()))
    assert evidence.nll_raw == pytest.approx(float(functional.cross_entropy(4 * logits, labels)), abs=1e-6)
    assert evidence.nll_cross_fitted < evidence.nll_raw - evidence.gain_error
    assert evidence.verdict == "proven"


def test_gain_within_its_standard_error_is_unproven_in_words() -> None:
    fitted = next(
        fitted
        for fitted in (fit_temperature(*drawn(60, seed=seed)) for seed in range(50))
        if fitted.evidence.verdict == "unproven" and fitted.value != 1
    )
    assert fitted.evidence.nll_raw - fitted.evidence.nll_cross_fitted < fitted.evidence.gain_error
    assert "lowers the loss by" in fitted.remarks[0]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_handful_of_images_is_unproven_and_no_error(count: int) -> None:
    fitted: Temperature = fit_temperature(*drawn(count))
    assert fitted.evidence.verdict == "unproven"
    assert fitted.value >= 1
