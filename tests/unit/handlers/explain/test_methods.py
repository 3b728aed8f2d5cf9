"""Properties of every attribution method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from handlers.explain.methods import attribution
from handlers.explain.methods.method import Method, Passes
from handlers.explain.methods.row_limit import MAX_ROWS, rows_at_once
from handlers.explain.registry import METHODS
from models.card import Explanations
from tests.unit.handlers.explain.asking import ALL, COMPLETE, SIZE, ask, background, images, network, targets

MIXED = (3, 0, (1, 4), 3, (4, 1))


def numpy_state() -> Any:
    return np.random.get_state(legacy=False)["state"]["key"].copy()


def by_name(method: Method) -> str:
    return method.name


class Watched(nn.Module):
    """A network that notes how many rows go through it at once, and how many in all."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.rows: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(images))
        logits: torch.Tensor = self.network(images)
        return logits


def test_methods_are_sorted_by_rank_and_include_the_default() -> None:
    built_in = ["deeplift", "kernelshap", "occlusion", "ig", "gradshap", "layercam", "gradcam", "ixg"]
    assert [name for name in METHODS if name in built_in] == built_in
    assert [method.name for method in METHODS.values()] == list(METHODS)
    assert Explanations().method in METHODS


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL, ids=by_name)
@pytest.mark.parametrize("name", ["cnn", "resnet9"])
def test_a_batch_of_any_targets_is_answered_as_each_image_alone(name: str, method: Method) -> None:
    explained, shown, weights = network(name), images(5), targets(*MIXED)
    together = ask(method, explained, shown, weights)
    channels = 1 if method.name in ("gradcam", "layercam", "occlusion", "kernelshap") else 3
    assert together.values.shape == (5, channels, SIZE, SIZE)
    for row in range(5):
        alone = ask(method, explained, shown[row : row + 1], weights[row : row + 1])
        assert torch.allclose(
            together.values[row], alone.values[0], rtol=1e-3, atol=5e-4 * float(alone.values.abs().max())
        )
        assert torch.allclose(together.logits[row], alone.logits[0], atol=1e-5)
    assert not torch.allclose(together.values[0], together.values[3], rtol=0.1)
    assert float(together.values[2].abs().max()) > 0


@pytest.mark.parametrize("method", ALL, ids=by_name)
def test_the_same_image_gets_the_same_answer_and_no_other_draw_is_disturbed(method: Method) -> None:
    explained, shown, weights = network("cnn"), images(2), targets(0, 1)
    torch.manual_seed(5)
    np.random.seed(5)
    before, before_numpy = torch.get_rng_state(), numpy_state()
    first = ask(method, explained, shown, weights)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(numpy_state(), before_numpy)
    torch.manual_seed(6)
    assert torch.equal(ask(method, explained, shown, weights).values, first.values)


@pytest.mark.parametrize("method", ALL, ids=by_name)
@pytest.mark.parametrize("frozen", [True, False])
def test_network_and_images_are_left_as_they_were(method: Method, frozen: bool) -> None:
    explained, shown = network("resnet9").requires_grad_(not frozen), images(3)
    before = {name: value.clone() for name, value in explained.state_dict().items()}
    members = {name: set(module.__dict__) for name, module in explained.named_modules()}
    weights = targets(0, 1, (2, 3))
    images_before, weights_before = shown.clone(), weights.clone()
    result = ask(
        method,
        explained,
        shown,
        weights,
        replace(method.settings, smoothgrad_samples=2 if method.supports_smoothgrad else 0),
    )
    assert all(torch.equal(value, before[name]) for name, value in explained.state_dict().items())
    assert {parameter.requires_grad for parameter in explained.parameters()} == {not frozen}
    assert {parameter.grad for parameter in explained.parameters()} == {None}
    assert {name: set(module.__dict__) for name, module in explained.named_modules()} == members
    for module in explained.modules():
        assert not module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert torch.equal(shown, images_before)
    assert torch.equal(weights, weights_before)
    assert (shown.requires_grad, shown.grad, weights.requires_grad) == (False, None, False)
    assert not any(value.requires_grad for value in (result.values, result.logits, result.target_logit))


@pytest.mark.parametrize("method", ALL, ids=by_name)
def test_methods_work_under_no_grad(method: Method) -> None:
    explained, shown, weights = network("cnn"), images(2), targets(0, 1)
    expected = ask(method, explained, shown, weights).values
    with torch.no_grad():
        assert torch.equal(ask(method, explained, shown, weights).values, expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL, ids=by_name)
@pytest.mark.parametrize("count", [1, 3, MAX_ROWS + 6])
def test_no_more_rows_go_through_the_network_at_once_than_may(method: Method, count: int) -> None:
    watched = Watched(network("cnn"))
    steps = method.steps.minimum if method.steps else None
    settings = replace(method.settings, steps=steps, smoothgrad_samples=2 if method.supports_smoothgrad else 0)
    ask(method, watched, images(count), targets(*[0] * count), settings)
    assert max(watched.rows) <= MAX_ROWS


def test_large_images_reduce_rows_per_pass() -> None:
    sides = (16, 64, 65, 224, 4096)
    rows = [rows_at_once(torch.empty(1, 3, side, side, device="meta")) for side in sides]
    assert rows == [64, 64, 62, 5, 1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL, ids=by_name)
def test_a_large_image_is_explained_though_one_row_goes_through_at_once(method: Method) -> None:
    small = Watched(nn.Sequential(nn.AvgPool2d(64), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten()))
    shown = nn.functional.interpolate(images(2), (512, 512))
    steps = method.steps.minimum if method.steps else None
    weights = torch.eye(256)[[3, 7]]
    result = ask(method, small, shown, weights, replace(method.settings, steps=steps))
    # DeepLIFT needs image and baseline at once.
    assert max(small.rows) == (2 if method.name == "deeplift" else 1)
    assert result.values.shape[2:] == (512, 512)


@pytest.mark.parametrize("method", ALL, ids=by_name)
def test_method_passes_match_its_declared_cost(method: Method) -> None:
    watched = Watched(network("cnn"))
    background(watched, SIZE)
    watched.rows.clear()
    ask(method, watched, images(3), targets(0, 0, 0))
    scanned = 1
    assert sum(watched.rows) - scanned == 3 * attribution.passes(method, method.settings).forward


def test_noisy_copies_cost_as_many_times_as_much() -> None:
    method = METHODS["ig"]
    assert attribution.passes(method, replace(method.settings, steps=10, smoothgrad_samples=3)) == Passes(32, 30)
    assert attribution.passes(method, replace(method.settings, steps=10)) == Passes(12, 10)


@pytest.mark.parametrize("method", COMPLETE, ids=by_name)
@pytest.mark.parametrize("name", ["cnn", "resnet9", "vit_tiny"])
def test_values_add_up_to_what_the_image_adds(name: str, method: Method) -> None:
    if method.name == "deeplift" and name == "vit_tiny":
        return  # which it refuses
    # Expected gradients divide the samples among many baselines, so their sum needs more of them.
    settings = replace(method.settings, steps=500) if method.name == "gradshap" else method.settings
    result = ask(method, network(name), images(5), targets(*MIXED), settings)
    assert result.baseline_logit is not None
    difference = result.target_logit - result.baseline_logit
    sums = result.values.sum(dim=(1, 2, 3))
    assert torch.allclose(sums, difference, atol=0.05 * float(difference.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL, ids=by_name)
def test_maps_depend_on_the_network(method: Method) -> None:
    """Adebayo et al., arXiv 1810.03292: what a randomized network does not change explains something else."""
    shown, weights = images(8), targets(*[0] * 8)
    maps = [ask(method, network("cnn", seed), shown, weights).values.sum(dim=1).flatten(1) for seed in (0, 1)]
    ranks = [spearmanr(single, other).statistic for single, other in zip(*maps, strict=True)]
    # LayerCAM has no evidence against, so where a network sees most, any network has some evidence for.
    assert abs(np.mean(ranks)) < (0.4 if method.name == "layercam" else 0.2)
