from __future__ import annotations

import pytest
import torch
from torch import nn

from models.architectures import resnet18, resnet50
from models.residual import Basic, Bottleneck, ResNet

BUILD = {"resnet18": resnet18.build, "resnet50": resnet50.build}

Shapes = dict[str, tuple[int, ...]]


def convolution(name: str, outputs: int, inputs: int, side: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, side, side)}


def norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (channels,) for part in parts}, f"{name}.num_batches_tracked": ()}


def torchvisions(depths: tuple[int, ...], kernels: tuple[int, ...], expansion: int) -> Shapes:
    """The state dict of torchvision's ResNet of 1,000 classes.

    Stem `conv1`, `bn1`. Block i of stage s is `layer{s}.{i}`; its convolutions and norms are numbered from 1, and the
    way round, where the shape changes, is `downsample.0` and `downsample.1`. Stage s works with 32 * 2^s channels, of
    which its last convolution makes `expansion` times as many. Then `fc`.
    """
    shapes = {**convolution("conv1", 64, 3, 7), **norm("bn1", 64)}
    inputs = 64
    for stage, depth in enumerate(depths, start=1):
        channels = 32 * 2**stage
        for number in range(depth):
            block, before = f"layer{stage}.{number}", inputs
            for place, side in enumerate(kernels, start=1):
                outputs = channels * (expansion if place == len(kernels) else 1)
                shapes |= convolution(f"{block}.conv{place}", outputs, before, side)
                shapes |= norm(f"{block}.bn{place}", outputs)
                before = outputs
            if number == 0 and (stage > 1 or inputs != before):
                shapes |= convolution(f"{block}.downsample.0", before, inputs, 1) | norm(
                    f"{block}.downsample.1", before
                )
            inputs = before
    return {**shapes, "fc.weight": (1000, inputs), "fc.bias": (1000,)}


@pytest.fixture(scope="module", params=BUILD)
def thousand(request: pytest.FixtureRequest) -> tuple[str, ResNet]:
    with torch.device("meta"):
        return request.param, BUILD[request.param](classes=1000)


def test_every_tensor_has_torchvisions_name_and_shape(thousand: tuple[str, ResNet]) -> None:
    name, network = thousand
    wanted = {
        "resnet18": torchvisions((2, 2, 2, 2), (3, 3), 1),
        "resnet50": torchvisions((3, 4, 6, 3), (1, 3, 1), 4),
    }[name]
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == wanted


def test_the_docstring_says_how_many_parameters_there_are(thousand: tuple[str, ResNet]) -> None:
    name, network = thousand
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == {"resnet18": 11_689_512, "resnet50": 25_557_032}[name]
    assert f"{count:,} parameters" in str({"resnet18": resnet18, "resnet50": resnet50}[name].__doc__)


def test_the_stride_is_where_torchvision_has_it(thousand: tuple[str, ResNet]) -> None:
    name, network = thousand
    strided = [place for place, module in network.named_modules() if getattr(module, "stride", 1) in (2, (2, 2))]
    inside = "conv1" if name == "resnet18" else "conv2"  # v1.5
    later = [f"layer{stage}.0.{part}" for stage in (2, 3, 4) for part in (inside, "downsample.0")]
    assert strided == ["conv1", "maxpool", *later]


@pytest.mark.parametrize(("size", "side"), [(32, 1), (40, 2), (64, 2), (224, 7)])
def test_any_image_from_32_pixels_has_something_left_to_average(size: int, side: int) -> None:
    with torch.device("meta"):
        network, images = resnet18.build(image_size=size, classes=3), torch.empty(2, 3, size, size)
    seen: list[tuple[int, ...]] = []
    network.avgpool.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    assert network(images).shape == (2, 3)
    assert seen == [(2, 512, side, side)]


def test_an_image_below_32_pixels_is_refused_with_what_takes_it() -> None:
    with pytest.raises(
        ValueError, match="image_size is 31: five halvings need at least 32 pixels; `resnet9` takes less"
    ):
        resnet18.build(image_size=31)


@pytest.mark.parametrize("block", [Basic(4, 4, 1), Bottleneck(16, 4, 1)])
def test_a_block_that_adds_nothing_lets_through_what_came_in(block: Basic | Bottleneck) -> None:
    last = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    nn.init.zeros_(last.weight)
    images = torch.rand(2, 16 if isinstance(block, Bottleneck) else 4, 6, 6)
    assert torch.equal(block.eval()(images), images)


def test_fresh_convolutions_neither_swell_nor_fade_what_passes() -> None:
    torch.manual_seed(0)
    weight = resnet18.build(classes=2).layer4[0].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
