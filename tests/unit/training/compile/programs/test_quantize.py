"""Layers in int8, and layers that stay in float32."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models import architectures
from models.card import Input
from training.compile.programs.program import FromPixels
from training.compile.programs.quantize import first_convolution, quantized

SPEC = Input(size=32, mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.125))
PIXELS = torch.randint(256, (8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def network(name: str) -> FromPixels:
    torch.manual_seed(0)
    return FromPixels(architectures.build(name, image_size=32, classes=5), SPEC).eval().requires_grad_(False)


def kept(module: nn.Module) -> int:
    """Return the number of convolutions and linear layers with float32 weights in a converted graph."""
    assert isinstance(module, torch.fx.GraphModule)
    layers = [
        node
        for node in module.graph.nodes
        if node.target in (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)
    ]
    assert layers
    return sum("dequantize" not in str(node.args[1]) for node in layers)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "vit_tiny"])
def test_the_layer_that_is_spared_and_no_other_stays_in_float32(name: str) -> None:
    module = network(name)
    first = first_convolution(module)
    assert first is not None
    whole = quantized(network(name), PIXELS, narrow=False)
    spared = quantized(module, PIXELS, narrow=False, spared=first)
    assert (kept(whole), kept(spared)) == (0, 1)


def test_a_network_may_have_no_convolution() -> None:
    assert first_convolution(nn.Sequential(nn.Flatten(), nn.Linear(3, 2))) is None
