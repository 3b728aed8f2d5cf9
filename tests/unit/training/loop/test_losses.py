"""Losses, against numbers calculated independently and against torch's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from training.loop.losses import build, cross_entropy, focal, mean_squared_error
from training.recipe import Loss

LOG = math.log


def loss(counts: tuple[int, ...] = (1, 1, 1), **settings: Any) -> Any:
    return build(Loss(**settings), counts)


def rows(*labels: int, classes: int = 3) -> torch.Tensor:
    return functional.one_hot(torch.tensor(labels), classes).float()


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(16, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.arange(16) % 3


# Probabilities 1/2, 1/4, 1/4.
HALF = torch.tensor([[LOG(2), 0.0, 0.0]])


def test_cross_entropy_by_hand() -> None:
    assert cross_entropy(HALF, rows(0)).tolist() == pytest.approx([LOG(2)])
    assert cross_entropy(HALF, rows(1)).tolist() == pytest.approx([LOG(4)])
    mixed = torch.tensor([[0.5, 0.5, 0.0]])
    assert cross_entropy(HALF, mixed).tolist() == pytest.approx([(LOG(2) + LOG(4)) / 2])


def test_mean_squared_error_is_the_brier_score() -> None:
    assert mean_squared_error(HALF, rows(0)).tolist() == pytest.approx([0.25 + 0.0625 + 0.0625])
    assert mean_squared_error(HALF, rows(2)).tolist() == pytest.approx([0.25 + 0.0625 + 0.5625])
    sure = torch.tensor([[100.0, 0.0, 0.0]])
    assert mean_squared_error(sure, rows(0)).tolist() == pytest.approx([0])
    assert mean_squared_error(sure, rows(1)).tolist() == pytest.approx([2])


def test_focal_by_hand() -> None:
    assert focal(HALF, rows(0), 2.0).tolist() == pytest.approx([0.25 * LOG(2)])
    assert focal(HALF, rows(1), 1.0).tolist() == pytest.approx([0.75 * LOG(4)])


def test_focal_without_focus_is_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> None:
    targets = rows(*labels.tolist())
    assert torch.allclose(focal(logits, targets, 0.0), cross_entropy(logits, targets))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_has_a_slope_where_an_image_is_answered_for_sure(gamma: float) -> None:
    sure = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    focal(sure, rows(0), gamma).sum().backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()


def test_cross_entropy_is_torchs(logits: torch.Tensor, labels: torch.Tensor) -> None:
    found = loss()(logits, rows(*labels.tolist()))
    assert torch.allclose(found, functional.cross_entropy(logits, labels))


def test_label_smoothing_is_torchs(logits: torch.Tensor, labels: torch.Tensor) -> None:
    found = loss(label_smoothing=0.1)(logits, rows(*labels.tolist()))
    assert torch.allclose(found, functional.cross_entropy(logits, labels, label_smoothing=0.1))


def test_balanced_classes_weigh_the_same_however_many_images_they_have(logits: torch.Tensor) -> None:
    labels = torch.tensor([0] * 8 + [1] * 4 + [2] * 4)
    found = loss((8, 4, 4), class_weights="balanced")(logits, rows(*labels.tolist()))
    assert torch.allclose(found, functional.cross_entropy(logits, labels, weight=torch.tensor([2 / 3, 4 / 3, 4 / 3])))
    by_class = [functional.cross_entropy(logits[labels == label], labels[labels == label]) for label in range(3)]
    assert torch.allclose(found, torch.stack(by_class).mean())


def test_a_mixed_image_has_the_weight_of_its_mixture() -> None:
    balanced = loss((6, 2), class_weights="balanced")
    even = torch.tensor([[0.0, 0.0]])
    found = balanced(even, torch.tensor([[0.25, 0.75]]))
    assert float(found) == pytest.approx((0.25 * 8 / 12 + 0.75 * 8 / 4) * LOG(2))


def test_a_class_without_an_image_breaks_nothing(logits: torch.Tensor) -> None:
    assert loss((8, 8, 0), class_weights="balanced")(logits, rows(*[0, 1] * 8)).isfinite()


@pytest.mark.parametrize("name", ["cross_entropy", "mean_squared_error", "focal"])
def test_every_loss_is_a_mean_over_the_images_that_pulls_the_right_class_up(
    name: str, logits: torch.Tensor, labels: torch.Tensor
) -> None:
    function, targets = loss(name=name), rows(*labels.tolist())
    each = [function(logits[place : place + 1], targets[place : place + 1]) for place in range(16)]
    assert torch.allclose(function(logits, targets), torch.stack(each).mean(), atol=1e-6)
    free = logits.clone().requires_grad_()
    function(free, targets).backward()
    assert free.grad is not None
    assert (free.grad[targets == 1] < 0).all()
    assert (free.grad[targets == 0] > 0).any()


def test_float16_is_accumulated_in_float32(logits: torch.Tensor, labels: torch.Tensor) -> None:
    assert loss()(logits.bfloat16(), rows(*labels.tolist())).dtype == torch.float32
