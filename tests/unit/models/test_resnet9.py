from __future__ import annotations

import pytest
import torch
from captum.attr import DeepLift
from torch import nn

from models.architectures import resnet9


@pytest.mark.parametrize("size", [8, 16, 24, 27, 32, 64])
def test_images_of_any_size_become_logits(size: int) -> None:
    network = resnet9.build(image_size=size, width=4).eval()
    assert network.embed(torch.zeros(2, 3, size, size)).shape == (2, 32)
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_resnet9_has_nine_layers_and_doubles_its_width_after_pooling() -> None:
    network = resnet9.build(width=16)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [layer.weight.shape[0] for layer in layers] == [16, 32, 32, 32, 64, 128, 128, 128, 10]


def test_the_size_of_the_image_changes_no_weight() -> None:
    small, large = (resnet9.build(image_size=size, width=4) for size in (24, 64))
    large.load_state_dict(small.state_dict())


def test_images_smaller_than_it_was_built_for_pass_too() -> None:
    network = resnet9.build(image_size=32, width=4).eval()
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 10)


def test_a_block_adds_to_what_came_in() -> None:
    block = resnet9.Residual(4).eval()
    for weight in block.parameters():
        nn.init.zeros_(weight)
    images = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(images), images)


def test_the_scale_is_that_of_the_logits() -> None:
    torch.manual_seed(0)
    one = resnet9.build(width=4, scale=1.0).eval()
    eighth = resnet9.build(width=4, scale=0.125).eval()
    eighth.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 24, 24)
    torch.testing.assert_close(eighth(images), one(images) / 8)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks and attributes:UserWarning")  # it always says so
@pytest.mark.parametrize("size", [24, 27])
def test_deeplift_is_exact_from_any_baseline(size: int) -> None:
    # No pooling here follows a ReLU or is one that captum does not know, so it has no excuse.
    torch.manual_seed(0)
    network = resnet9.build(image_size=size, width=4).eval()
    images, baselines = torch.randn(2, 2, 3, size, size)
    values, delta = DeepLift(network).attribute(
        images.requires_grad_(), baselines, target=torch.tensor([0, 9]), return_convergence_delta=True
    )
    assert (delta.abs() < 1e-5 * values.abs().sum(dim=(1, 2, 3))).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_size": 7}, "image_size is 7: 3 poolings of 2x2 need at least 8 pixels"),
        ({"width": 0}, "width is 0: it must be at least 1"),
        ({"width": 2.5}, "width is 2.5: it must be a whole number"),
        ({"scale": 0}, "scale is 0: it must be a number above 0 and at most 1"),
        ({"scale": float("nan")}, "scale is nan: it must be a number above 0"),
        ({"scale": "1"}, "scale is '1': it must be a number above 0"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resnet9.build(**arguments)
