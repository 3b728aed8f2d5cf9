from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from handlers.explain.methods.attribution import Attribution
from handlers.explain.methods.baselines import blur
from handlers.explain.methods.row_limit import MAX_ROWS
from handlers.explain.registry import METHODS
from tests.unit.handlers.explain.asking import CLASSES, ask, images, linear_network, slopes, targets


def attribution(total: float, target_logit: float, baseline_logit: float | None, complete: bool = True) -> Attribution:
    values = torch.zeros(1, 3, 2, 2)
    values[0, 0, 0, 0], values[0, 2, 0, 0] = total - 1, 1
    baseline = None if baseline_logit is None else torch.tensor([baseline_logit])
    return Attribution(values, torch.tensor([target_logit]), baseline, torch.zeros(1, 2), complete)


def test_the_map_is_the_sum_over_channels_with_its_sign() -> None:
    assert attribution(-4, 0, 0).heat(0).tolist() == [[-4, 0], [0, 0]]


@pytest.mark.parametrize(
    ("size", "target_logit", "has_evidence"),
    [
        (0.011, 0.5, True),
        (0.009, 0.5, False),  # 1 % of 1
        (0.09, -10, False),  # 1 % of 10
        (0.11, -10, True),
        (0.0, 0.0, False),
        (float("nan"), 1.0, True),  # the method failed, which is another error
    ],
)
def test_values_below_one_percent_of_the_score_are_no_evidence(
    size: float, target_logit: float, has_evidence: bool
) -> None:
    values = torch.tensor([size / 2, -size / 2]).view(1, 1, 1, 2)
    result = Attribution(values, torch.tensor([target_logit]), None, torch.zeros(1, 2), complete=False)
    assert result.has_evidence(0) is has_evidence
    assert bool(result.visible_heat(0).any()) is has_evidence
    assert torch.equal(result.heat(0), values[0, 0]) or size != size


@pytest.mark.parametrize(
    ("total", "target_logit", "baseline_logit", "delta", "ok"),
    [
        (8, 10, 2, 0, True),
        (8.4, 10, 2, 0.4, True),
        (8.5, 10, 2, 0.5, False),
        (-7.5, 2, 10, 0.5, False),
        (0.14, 0.1, 0, 0.04, True),  # logits near each other: 5 % of 1
        (0.16, 0.1, 0, 0.06, False),
    ],
)
def test_up_to_five_percent_may_be_left_over(
    total: float, target_logit: float, baseline_logit: float, delta: float, ok: bool
) -> None:
    result = attribution(total, target_logit, baseline_logit).completeness(0)
    assert result == {"delta": pytest.approx(delta, abs=1e-5), "ok": ok}


def test_a_method_that_need_not_add_up_is_not_judged() -> None:
    assert attribution(8, 10, 2, complete=False).completeness(0) is None
    assert attribution(8, 10, None).completeness(0) is None


@pytest.fixture
def linear() -> nn.Sequential:
    return linear_network()


def test_attribution_reports_target_and_baseline_logits(linear: nn.Sequential) -> None:
    shown, weights = images(3), targets(0, 4, (2, 1))
    result = ask(METHODS["ig"], linear, shown, weights)
    logits, blurred = (linear(inputs).detach() for inputs in (shown, blur(shown)))
    assert torch.allclose(result.logits, logits)
    for of, number in ((logits, result.target_logit), (blurred, result.baseline_logit)):
        assert number is not None
        assert torch.allclose(number, torch.stack([of[0, 0], of[1, 4], of[2, 2] - of[2, 1]]), atol=1e-5)


def test_without_a_baseline_there_is_no_number_for_it(linear: nn.Sequential) -> None:
    assert ask(METHODS["ixg"], linear, images(1), targets(0)).baseline_logit is None


def test_noisy_copies_need_not_add_up(linear: nn.Sequential) -> None:
    method = METHODS["ig"]
    assert ask(method, linear, images(1), targets(0)).completeness(0) is not None
    smoothed = replace(method.settings, smoothgrad_samples=2)
    assert ask(method, linear, images(1), targets(0), smoothed).completeness(0) is None


def test_more_images_than_go_through_at_once_are_explained_in_parts(linear: nn.Sequential) -> None:
    shown = images(MAX_ROWS + 6)
    weights = targets(*(row % CLASSES for row in range(len(shown))))
    result = ask(METHODS["ig"], linear, shown, weights)
    expected = slopes(linear, weights) * (shown - blur(shown))
    assert torch.allclose(result.values, expected, atol=1e-5)
    assert result.logits.shape == (MAX_ROWS + 6, CLASSES)
