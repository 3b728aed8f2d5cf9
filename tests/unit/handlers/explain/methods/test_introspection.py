from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from handlers.explain.methods.introspection import Introspection, introspect
from handlers.explain.registry import METHODS
from models import architectures
from tests.unit.handlers.explain.asking import SIZE, network


class Functional(nn.Module):
    """Its activations are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(4 * 7 * 7, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = functional.max_pool2d(functional.relu(self.convolution(images)), 2)
        result: torch.Tensor = self.last(values.flatten(1))
        return result


class Shared(nn.Module):
    """Its activations are one module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.active = nn.ReLU()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.active(self.second(self.active(self.first(images))))
        return values.mean(dim=(2, 3))


class Gated(nn.Module):
    """A layer that multiplies its input with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.gate = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.convolution(images) * self.gate(images)
        return values.mean(dim=(2, 3)) * torch.tensor([1.0, 2.0, 3.0, 4.0])


def refusal(name: str, introspection: Introspection) -> str:
    return METHODS[name].incompatibility(introspection) or ""


@pytest.mark.parametrize(
    ("name", "size", "layer", "middle"),
    [
        ("cnn", 16, "features.4", "features.1"),
        ("resnet9", 32, "features.5", "features.3"),
        ("resnet18", 64, "layer4", "layer3"),
        ("resnet50", 64, "layer4", "layer3"),
    ],
)
def test_maps_are_taken_after_norm_and_activation_of_the_convolution(
    name: str, size: int, layer: str, middle: str
) -> None:
    introspection = introspect(architectures.build(name, image_size=size).eval(), size)
    assert introspection == Introspection(layer, middle, kinds=("ReLU", "MaxPool2d"))
    assert not [method.name for method in METHODS.values() if method.incompatibility(introspection)]


def test_attention_layers_have_no_spatial_map() -> None:
    introspection = introspect(network("vit_tiny"), SIZE)
    assert introspection == Introspection(functional=("scaled_dot_product_attention",), kinds=("LayerNorm", "GELU"))
    assert {name for name, method in METHODS.items() if method.incompatibility(introspection)} == {
        "gradcam",
        "layercam",
        "deeplift",
    }
    assert "needs a convolution whose output keeps its places to the end" in refusal("gradcam", introspection)
    assert "calls functions: scaled_dot_product_attention" in refusal("deeplift", introspection)


def test_activations_that_are_functions_are_found_and_deeplift_refuses_them() -> None:
    introspection = introspect(Functional(), SIZE)
    assert introspection.functional == ("relu", "max_pool2d")
    assert "calls functions: relu, max_pool2d" in refusal("deeplift", introspection)
    assert introspection.layer == "convolution"
    assert not refusal("gradcam", introspection)


def test_activations_that_are_shared_are_found_and_deeplift_refuses_them() -> None:
    introspection = introspect(Shared(), SIZE)
    assert (introspection.functional, introspection.shared) == ((), ("active",))
    assert "shares active" in refusal("deeplift", introspection)


def test_products_of_activations_are_found_and_scaling_is_none() -> None:
    assert introspect(Gated(), SIZE).functional == ("mul",)


@pytest.mark.parametrize("layer", [nn.GELU(), nn.LayerNorm(SIZE), nn.AdaptiveMaxPool2d(4), nn.Hardswish()])
def test_deeplift_refuses_what_it_has_no_rule_for(layer: nn.Module) -> None:
    introspection = introspect(nn.Sequential(layer, nn.AdaptiveAvgPool2d(2), nn.Flatten()), SIZE)
    assert f"has no rule for {type(layer).__name__}" in refusal("deeplift", introspection)


def test_a_network_of_nothing_but_linear_layers_has_no_map() -> None:
    introspection = introspect(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 2)), SIZE)
    assert introspection == Introspection()


def test_the_card_may_name_a_layer() -> None:
    assert introspect(network("resnet9"), SIZE, "features.1").layer == "features.1"


@pytest.mark.parametrize("layer", ["features.99", "fc"])
def test_a_layer_that_will_not_do_is_answered_with_those_that_do(layer: str) -> None:
    with pytest.raises(
        ValueError, match=rf"layer '{layer}' is not a module whose output keeps its places.* features\.5"
    ):
        introspect(network("resnet9"), SIZE, layer)


def test_the_network_is_left_as_it_was() -> None:
    explained = network("resnet9").requires_grad_(True)
    before = {name: value.clone() for name, value in explained.state_dict().items()}
    introspect(explained, SIZE)
    assert all(torch.equal(value, before[name]) for name, value in explained.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in explained.modules())
    assert {parameter.grad for parameter in explained.parameters()} == {None}
