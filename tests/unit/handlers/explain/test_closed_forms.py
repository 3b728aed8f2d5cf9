"""Networks so simple that the right attribution can be written down."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import nn

from handlers.explain.methods.baselines import blur
from handlers.explain.methods.introspection import Introspection, introspect
from handlers.explain.methods.kernelshap import coalitions, solve
from handlers.explain.methods.method import AttributionInputs, TargetScore
from handlers.explain.registry import METHODS
from tests.unit.handlers.explain.asking import (
    CLASSES,
    SIZE,
    ask,
    background,
    images,
    linear_network,
    network,
    slopes,
    targets,
)

ASKED = (0, 4, (2, 1))


@pytest.fixture
def linear() -> nn.Sequential:
    return linear_network()


@pytest.mark.parametrize("name", ["ig", "deeplift"])
def test_on_a_linear_network_it_is_weight_times_difference(linear: nn.Sequential, name: str) -> None:
    shown, weights = images(3), targets(*ASKED)
    result = ask(METHODS[name], linear, shown, weights)
    assert torch.allclose(result.values, slopes(linear, weights) * (shown - blur(shown)), atol=1e-5)


def test_on_a_linear_network_expected_gradients_are_weight_times_difference_from_the_mean(
    linear: nn.Sequential,
) -> None:
    shown, weights = images(3), targets(*ASKED)
    settings = replace(METHODS["gradshap"].settings, steps=30)  # of six training images
    result = ask(METHODS["gradshap"], linear, shown, weights, settings)
    mean = background(linear, SIZE).images[:6].mean(dim=0)
    assert torch.allclose(result.values, slopes(linear, weights) * (shown - mean), atol=1e-5)


def test_input_times_gradient_is_weight_times_input(linear: nn.Sequential) -> None:
    shown, weights = images(3), targets(*ASKED)
    result = ask(METHODS["ixg"], linear, shown, weights)
    assert torch.allclose(result.values, slopes(linear, weights) * shown, atol=1e-6)


def test_patches_of_a_linear_network_are_worth_their_sum(linear: nn.Sequential) -> None:
    shown, weights = images(3), targets(*ASKED)
    result = ask(METHODS["kernelshap"], linear, shown, weights)
    exact = slopes(linear, weights) * (shown - blur(shown))
    # The first of six patches along a side of 16 pixels has three of them, the second has three, the third two.
    for rows, columns in ((slice(0, 3), slice(0, 3)), (slice(3, 6), slice(6, 8))):
        patch = result.values[:, 0, rows, columns]
        assert torch.allclose(patch.sum(dim=(1, 2)), exact[:, :, rows, columns].sum(dim=(1, 2, 3)), atol=1e-4)
        assert torch.allclose(patch, patch[:, :1, :1], atol=1e-6)


def test_occlusion_is_what_windows_are_worth_on_the_mean(linear: nn.Sequential) -> None:
    shown, weights = images(3), targets(*ASKED)
    result = ask(METHODS["occlusion"], linear, shown, weights)
    exact = (slopes(linear, weights) * (shown - blur(shown))).sum(dim=1)
    # The corner's two by two pixels lie in one window of four by four, the next two in two of them.
    first, second = exact[:, :4, :4].sum(dim=(1, 2)), exact[:, :4, 2:6].sum(dim=(1, 2))
    assert torch.allclose(result.values[:, 0, 0, 0], first, atol=1e-4)
    assert torch.allclose(result.values[:, 0, 1, 3], (first + second) / 2, atol=1e-4)


class Map(nn.Module):
    """Two channels by a convolution of one pixel; each class is a weighted mean of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 1, bias=False)
        self.convolution.weight.data = torch.tensor([[1.0, 0, 0], [0, -2.0, 0]]).view(2, 3, 1, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.pool(self.convolution(images)).flatten(1)
        return pooled * torch.tensor([1.0, -1.0])


def test_class_activation_maps_weigh_channels_with_their_gradient() -> None:
    shown, weights = images(2), targets(0, 1)[:, :2]
    target_score = TargetScore(Map(), Introspection(layer="convolution", middle="convolution"))
    inputs = AttributionInputs(shown, weights)
    red, green = shown[0, 0] / SIZE**2, 2 * shown[1, 1] / SIZE**2
    result = METHODS["gradcam"].attribute(target_score, inputs, METHODS["gradcam"].settings)
    assert torch.allclose(result[0, 0], red, atol=1e-7)
    assert torch.allclose(result[1, 0], green, atol=1e-7)
    # The second class falls with its channel: LayerCAM asks only what raises it.
    result = METHODS["layercam"].attribute(target_score, inputs, METHODS["layercam"].settings)
    assert torch.allclose(result[0, 0], red, atol=1e-7)
    assert float(result[1].abs().max()) == 0


def test_a_contrast_is_one_attribution_less_the_other() -> None:
    explained, shown = network("cnn"), images(1)
    single, other, both = (
        ask(METHODS["ig"], explained, shown, targets(contrast)).values for contrast in (1, 4, (1, 4))
    )
    assert torch.allclose(both, single - other, atol=1e-7)
    assert float(both.abs().max()) > 1e-5


def test_deeplift_gives_a_maximum_to_those_that_it_moved_between() -> None:
    pool = nn.Sequential(nn.MaxPool2d(3, stride=1), nn.Flatten())
    image = torch.zeros(1, 3, 3, 3)
    baseline = torch.zeros(1, 3, 3, 3)
    image[0, 0, 0, 0], baseline[0, 0, 2, 2] = 5, 2
    target_score = TargetScore(pool, introspect(pool, 3))
    inputs = AttributionInputs(image, torch.tensor([[1.0, 0, 0]]), baseline)
    result = METHODS["deeplift"].attribute(target_score, inputs, METHODS["deeplift"].settings)
    # The output rises from 2 to 5, all of it at the place of the image's maximum.
    assert (float(result[0, 0, 0, 0]), float(result.abs().sum())) == (3, 3)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.MaxPool2d(3, stride=2, padding=1)],
        [nn.ReLU(), nn.MaxPool2d(2)],
        [nn.MaxPool2d(2), nn.ReLU()],
        [nn.ReLU(), nn.MaxPool2d(3, stride=1), nn.Sigmoid(), nn.Tanh()],
    ],
)
def test_deeplift_adds_up_where_windows_overlap_and_activations_are_neighbors(layers: list[nn.Module]) -> None:
    torch.manual_seed(4)
    explained = nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Flatten(), nn.LazyLinear(CLASSES))
    explained(images(1))
    result = ask(METHODS["deeplift"], explained, images(4), targets(0, 1, 2, (3, 4)))
    assert result.baseline_logit is not None
    assert torch.allclose(result.values.sum(dim=(1, 2, 3)), result.target_logit - result.baseline_logit, atol=1e-5)


def shapley(worth: dict[frozenset[int], float], players: int) -> list[float]:
    """By the definition: what each adds to those before it, over all orders."""
    orders = list(permutations(range(players)))
    values = [0.0] * players
    for order in orders:
        for position, player in enumerate(order):
            before = frozenset(order[:position])
            values[player] += (worth[before | {player}] - worth[before]) / len(orders)
    return values


def test_with_all_coalitions_the_least_squares_are_the_shapley_values() -> None:
    drawn = coalitions(4, 20_000)
    generator = torch.Generator().manual_seed(3)
    worth = {
        frozenset(player for player in range(4) if mask >> player & 1): float(torch.randn(1, generator=generator))
        for mask in range(16)
    }
    worth[frozenset()] = 0.0
    values = torch.tensor([[worth[frozenset(row.nonzero().flatten().tolist())]] for row in drawn])
    total = torch.tensor([worth[frozenset(range(4))]])
    result = solve(drawn, values, total).flatten()
    assert float(result.sum()) == pytest.approx(float(total), abs=1e-5)
    assert result.tolist() == pytest.approx(shapley(worth, 4), abs=0.03)


def test_coalitions_come_in_pairs_and_most_are_small_or_large() -> None:
    drawn = coalitions(10, 1000)
    assert drawn.shape == (1000, 10)
    assert torch.equal(drawn[0::2], 1 - drawn[1::2])
    sizes = drawn.sum(dim=1)
    assert (int(sizes.min()), int(sizes.max())) == (1, 9)
    # 1 and 9 of 10 have a weight of 1/9 each, of all weights together 0.566.
    assert float((sizes == 1).float().mean()) == pytest.approx(0.196, abs=0.03)
    assert torch.equal(coalitions(10, 1000), drawn)
    assert coalitions(10, 7).shape == (7, 10)


def test_more_steps_add_up_better() -> None:
    explained, shown, weights = network("cnn"), images(4), targets(0, 1, 2, 3)
    method = METHODS["ig"]
    left = []
    for steps in (3, 100):
        result = ask(method, explained, shown, weights, replace(method.settings, steps=steps))
        assert result.baseline_logit is not None
        left.append(
            float((result.values.sum(dim=(1, 2, 3)) - result.target_logit + result.baseline_logit).abs().mean())
        )
    assert left[1] < left[0] / 5
