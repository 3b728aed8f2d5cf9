"""The short way along a path, from the end of a network's linear beginning, beside the long one from the image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from handlers.explain.methods.background import Background
from handlers.explain.methods.baselines import blur
from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.linear_prefix import LinearPrefix
from handlers.explain.methods.method import AttributionInputs, TargetScore
from handlers.explain.registry import METHODS
from models import architectures
from tests.unit.handlers.explain.asking import CLASSES, SIZE, images, network, targets, used

# What each architecture begins with before its first activation, or before an image is more than a sequence of layers.
BEGINNINGS = {
    "cnn": [nn.Conv2d],
    "resnet9": [nn.Conv2d, nn.BatchNorm2d],
    "resnet18": [nn.Conv2d, nn.BatchNorm2d],
    "resnet50": [nn.Conv2d, nn.BatchNorm2d],
    "vit_tiny": [nn.Conv2d],
}
PATHS = ("ig", "gradshap")


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network in float64, so that what is left of a difference is not the rounding at a ReLU's edge; two images."""
    torch.manual_seed(3)
    if name in ("resnet18", "resnet50"):
        explained = used(architectures.build(name, image_size=64, classes=CLASSES))
        shown = nn.functional.interpolate(images(2), (64, 64))
    else:
        explained, shown = used(network(name)), images(2)
    return explained.double(), shown.double()


def one_baseline(explained: nn.Module, shown: torch.Tensor, weights: torch.Tensor) -> AttributionInputs:
    """Return inputs whose only baseline, and only training image, is the blurred image."""
    return AttributionInputs(shown, weights, blur(shown), Background(blur(shown), explained(blur(shown))))


def test_every_architecture_is_looked_at_here() -> None:
    assert set(BEGINNINGS) == set(architectures.names())


@pytest.mark.parametrize("name", BEGINNINGS)
def test_both_parts_together_are_the_network(name: str) -> None:
    explained, shown = built(name)
    prefix = LinearPrefix(explained)
    assert [type(layer) for layer in prefix.layers.children()] == BEGINNINGS[name]
    assert torch.allclose(prefix.remainder(prefix.features(shown)), explained(shown), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_beginning_is_linear(name: str) -> None:
    explained, shown = built(name)
    prefix = LinearPrefix(explained)
    start, end = prefix.features(blur(shown)), prefix.features(shown)
    for position in (0.25, 0.5, 0.9):
        between = prefix.features(torch.lerp(blur(shown), shown, position))
        assert torch.allclose(between, torch.lerp(start, end, position), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", BEGINNINGS)
def test_integrated_gradients_are_those_of_captum_from_the_image(name: str) -> None:
    explained, shown = built(name)
    weights, baselines = targets(1, (2, 0)).double(), blur(shown)
    method = METHODS["ig"]
    attributions = method.attribute(
        TargetScore(explained, Introspection()),
        AttributionInputs(shown, weights, baselines),
        replace(method.settings, steps=7),
    )
    expected = IntegratedGradients(lambda rows, weighed: (explained(rows) * weighed).sum(dim=1)).attribute(
        shown, baselines, additional_forward_args=weights, n_steps=7, method="riemann_middle"
    )
    assert float(expected.abs().max()) > 1e-6
    assert torch.allclose(attributions, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_the_first_layers_are_gone_through_three_times_whatever_the_steps(name: str) -> None:
    explained, shown = network("cnn"), images(1)
    target_score = TargetScore(explained, Introspection())
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    handle = next(target_score.prefix.layers.children()).register_forward_hook(count)
    method = METHODS[name]
    inputs = one_baseline(explained, shown, targets(1))
    method.attribute(target_score, inputs, replace(method.settings, steps=40))
    handle.remove()
    assert calls == 3  # the image, its baseline, and the way back


class Keeps(nn.Module):
    """A layer that keeps what it made of the first image, as lazily built grids do."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CLASSES, SIZE)
        self.kept: torch.Tensor | None = None

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.convolution(shown).flatten(1)
        if self.kept is None:
            self.kept = torch.ones_like(features)
        return features * self.kept


def test_looking_at_a_network_leaves_nothing_in_it_and_copies_no_weights() -> None:
    explained = Keeps().eval()
    prefix = LinearPrefix(explained)
    assert explained.kept is None
    explained(images(1))
    assert isinstance(explained.kept, torch.Tensor)
    assert next(prefix.layers.parameters()) is explained.convolution.weight


class Forks(nn.Module):
    """Whose image goes two ways from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.relu = nn.Conv2d(3, CLASSES, SIZE), nn.ReLU()
        self.linear = nn.Linear(3 * SIZE * SIZE, CLASSES)

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.relu(self.convolution(shown)).flatten(1) + self.linear(shown.flatten(1))
        return result


class Looks(Forks):
    """Whose way depends on the values of an image, so that nothing is known without one."""

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        return super().forward(shown if shown.sum() > 0 else -shown)


@pytest.mark.parametrize(
    "explained",
    [
        Forks(),
        Looks(),
        nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES)),
        # A norm that keeps no statistics takes those of the batch, so that its points are not on a line.
        nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES)),
    ],
    ids=["forks", "looks", "activation", "norm"],
)
@pytest.mark.parametrize("name", PATHS)
def test_a_network_without_a_linear_beginning_goes_the_long_way(name: str, explained: nn.Module) -> None:
    explained, shown = explained.eval().requires_grad_(False), images(1)
    target_score = TargetScore(explained, Introspection())
    assert list(target_score.prefix.layers.children()) == []
    assert target_score.prefix.remainder is explained
    method, weights = METHODS[name], targets(1)
    attributions = method.attribute(target_score, one_baseline(explained, shown, weights), method.settings)
    difference = ((explained(shown) - explained(blur(shown))) * weights).sum()
    assert float(attributions.sum()) == pytest.approx(float(difference), abs=0.05 * max(1.0, abs(float(difference))))
