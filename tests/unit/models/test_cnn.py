from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from models.architectures import cnn


@pytest.mark.parametrize(("size", "classes"), [(4, 2), (8, 3), (24, 10), (25, 10), (28, 10), (32, 100)])
def test_images_of_any_size_become_logits(size: int, classes: int) -> None:
    logits = cnn.build(image_size=size, classes=classes)(torch.zeros(2, 3, size, size))
    assert logits.shape == (2, classes)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(("size", "values"), [(24, 64 * 6 * 6), (32, 64 * 8 * 8), (27, 64 * 6 * 6), (4, 64)])
def test_the_first_linear_layer_follows_the_image_size(size: int, values: int) -> None:
    linears = [module for module in cnn.build(image_size=size).modules() if isinstance(module, nn.Linear)]
    assert linears[0].in_features == values
    assert linears[-1].out_features == 10


def test_the_docstring_says_how_large_it_is() -> None:
    count = sum(parameter.numel() for parameter in cnn.build().parameters())
    assert count == 315_722
    assert f"{round(count, -3):,} parameters" in " ".join(str(cnn.__doc__).split())


def test_every_activation_is_a_module_used_once() -> None:
    network = cnn.build()
    nodes = list(fx.symbolic_trace(network).graph.nodes)
    assert {node.op for node in nodes} == {"placeholder", "call_module", "output"}
    called = [network.get_submodule(node.target) for node in nodes if node.op == "call_module"]
    relus = [module for module in called if isinstance(module, nn.ReLU)]
    assert len(relus) == 3
    assert len({id(module) for module in relus}) == 3


def test_an_image_that_cannot_be_pooled_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size is 3: two 2x2 poolings need at least 4"):
        cnn.build(image_size=3)
