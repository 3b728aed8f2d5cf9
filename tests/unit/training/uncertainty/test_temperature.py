from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.uncertainty.temperature import COLDEST, HOTTEST, fit_temperature


def drawn(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of 5 classes, and labels that come out as often as their softmax says."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("truth", [0.2, 1.0, 3.0, 8.0])
def test_the_temperature_that_the_logits_were_made_with_is_found(truth: float) -> None:
    logits, labels = drawn(20_000)
    found, remarks = fit_temperature((logits * truth).float(), labels)
    assert found == pytest.approx(truth, rel=0.04)
    assert remarks == ()


def test_no_other_temperature_has_a_lower_cross_entropy() -> None:
    logits, labels = drawn(5_000, seed=1)
    found, _ = fit_temperature(3 * logits, labels)
    losses = [functional.cross_entropy(3 * logits / (found * factor), labels).item() for factor in (0.95, 1, 1.05)]
    assert losses[1] == min(losses)


@pytest.mark.parametrize("count", [20, 200])
def test_images_that_are_all_right_make_it_no_surer_than_so_many_can(count: int) -> None:
    logits, labels = torch.eye(4).repeat(count // 4, 1), torch.arange(4).repeat(count // 4)
    found, remarks = fit_temperature(logits, labels)
    surest = (logits / found).softmax(dim=1).amax(dim=1)
    assert surest.tolist() == pytest.approx([(count + 1) / (count + 4)] * count, rel=1e-3)
    assert remarks == ()


def test_logits_that_are_next_to_nothing_give_a_bound_and_say_so() -> None:
    found, (remark,) = fit_temperature(1e-6 * torch.eye(4).repeat(5, 1), torch.arange(4).repeat(5))
    assert found == pytest.approx(COLDEST, rel=0.1)
    assert "logits are too small for the 20 calibration images" in remark


def test_a_network_that_knows_nothing_gets_the_other_bound() -> None:
    logits, labels = 100 * torch.eye(4).repeat(4, 1), torch.arange(4).repeat_interleave(4)
    found, (remark,) = fit_temperature(logits, labels)
    assert found == pytest.approx(HOTTEST, rel=0.1)
    assert "logits are too large" in remark
