from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.trust.temperature import COLDEST, HOTTEST, fit_temperature


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
    logits, labels = drawn(500, seed=1)
    found, _ = fit_temperature(3 * logits, labels)
    losses = [functional.cross_entropy(3 * logits / (found * factor), labels).item() for factor in (0.98, 1, 1.02)]
    assert losses[1] == min(losses)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
def test_calibration_images_that_are_all_right_give_a_bound_and_say_so(scale: float) -> None:
    found, remarks = fit_temperature(scale * torch.eye(4).repeat(5, 1), torch.arange(4).repeat(5))
    assert COLDEST <= found <= HOTTEST
    if scale < 1e4:  # beyond that softmax is 1 at any temperature: nothing has to change
        assert found == pytest.approx(COLDEST, rel=0.1)
        assert "the 20 calibration images are answered all right" in remarks[0]


def test_a_network_that_knows_nothing_gets_the_other_bound() -> None:
    logits, labels = 100 * torch.eye(4).repeat(4, 1), torch.arange(4).repeat_interleave(4)
    found, (remark,) = fit_temperature(logits, labels)
    assert found == pytest.approx(HOTTEST, rel=0.1)
    assert "no better than guessing" in remark
