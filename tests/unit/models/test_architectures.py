from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import DeepLift
from torch import nn

from models import architectures
from models.architectures import Network

# Small enough to be quick. An architecture that is not here is tested as it comes.
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"image_size": 8},
    "resnet9": {"image_size": 16, "width": 8},
    "resnet18": {"image_size": 32},
    "resnet50": {"image_size": 32},
    "vit_tiny": {"image_size": 16, "dim": 24, "depth": 2},
}
NONLINEAR = {
    nn.ReLU: torch.ops.aten.relu.default,
    nn.GELU: torch.ops.aten.gelu.default,
    nn.MaxPool2d: torch.ops.aten.max_pool2d.default,
}
CLASSES = 3

TINY = """
from torch import nn


def build(image_size=4, classes=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, classes))
"""


def small(name: str) -> Network:
    torch.manual_seed(0)
    return architectures.build(name, classes=CLASSES, **SMALL.get(name, {})).eval()


def pictures(name: str, count: int = 2) -> torch.Tensor:
    size = SMALL.get(name, {}).get("image_size", 32)
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=architectures.names())
def exported(request: pytest.FixtureRequest) -> tuple[str, torch.export.ExportedProgram]:
    """An architecture's name, and its program for any number of images."""
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(small(request.param), (pictures(request.param),), dynamic_shapes=({0: batch},))
    return request.param, program


def test_the_architectures_are_listed_under_their_file_names() -> None:
    assert set(SMALL) <= set(architectures.names())
    assert architectures.names() == sorted(architectures.names())


def test_arguments_reach_the_architecture() -> None:
    assert architectures.build("cnn", image_size=8, classes=5)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("name", architectures.names())
def test_the_logits_are_the_head_of_the_embeddings(name: str) -> None:
    network, images = small(name), pictures(name)
    with torch.inference_mode():
        embeddings = network.embed(images)
        spoken, logits = network.head(embeddings), network(images)
    assert embeddings.dim() == 2
    assert logits.shape == (2, CLASSES)
    assert logits.dtype == torch.float32
    assert torch.equal(spoken, logits)


@pytest.mark.parametrize("name", architectures.names())
def test_the_head_is_the_last_linear_layer_and_nothing_that_bends(name: str) -> None:
    network = small(name)
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    one, other = torch.randn(2, 1, last.in_features)
    assert last.out_features == CLASSES
    torch.testing.assert_close(network.head((one + other) / 2), (network.head(one) + network.head(other)) / 2)


@pytest.mark.parametrize("name", architectures.names())
def test_every_weight_and_every_pixel_has_a_share_in_the_answer(name: str) -> None:
    network, images = small(name).train(), pictures(name, count=8).requires_grad_()
    nn.functional.cross_entropy(network(images), torch.arange(8) % CLASSES).backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []
    assert images.grad is not None
    assert images.grad.abs().sum(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("name", architectures.names())
def test_every_activation_is_used_once_in_a_pass(name: str) -> None:
    network = small(name)
    uses = {place: 0 for place, module in network.named_modules() if isinstance(module, tuple(NONLINEAR))}

    def count(place: str) -> Any:
        def hook(*_: Any) -> None:
            uses[place] += 1

        return hook

    for place in uses:
        network.get_submodule(place).register_forward_hook(count(place))
    network(pictures(name))
    assert uses
    assert set(uses.values()) == {1}, uses


@pytest.mark.slow
def test_no_activation_is_a_function_that_hooks_cannot_see(
    exported: tuple[str, torch.export.ExportedProgram],
) -> None:
    name, program = exported
    called = [node.target for node in program.graph.nodes]
    network = small(name)
    for kind, operator in NONLINEAR.items():
        assert called.count(operator) == sum(isinstance(module, kind) for module in network.modules()), kind
    bent = {str(target) for target in called if any(word in str(target) for word in ("relu", "elu", "max_pool"))}
    assert bent <= {str(operator) for operator in NONLINEAR.values()}


def test_the_exported_program_answers_alike_for_any_number_of_images(
    exported: tuple[str, torch.export.ExportedProgram],
) -> None:
    name, program = exported
    network = small(name)
    for count in (1, 5):
        images = pictures(name, count)
        with torch.inference_mode():
            torch.testing.assert_close(program.module()(images), network(images))


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks and attributes:UserWarning")  # it always says so
@pytest.mark.parametrize("name", [name for name in architectures.names() if name != "vit_tiny"])
def test_deeplift_attributions_are_complete(name: str) -> None:
    # Within 1 %: captum has an error of its own where a pooling follows a ReLU (its pull request 1843).
    network, images = small(name), pictures(name).requires_grad_()
    values, delta = DeepLift(network).attribute(
        images, torch.zeros_like(images), target=torch.tensor([0, CLASSES - 1]), return_convergence_delta=True
    )
    assert (delta.abs() < 0.01 * values.abs().sum(dim=(1, 2, 3))).all()


def test_a_new_file_is_all_that_a_new_architecture_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.py").write_text(TINY, encoding="utf-8")
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    try:
        assert "tiny" in architectures.names()
        assert architectures.build("tiny", classes=7)(torch.zeros(1, 3, 4, 4)).shape == (1, 7)
    finally:
        sys.modules.pop("models.architectures.tiny", None)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'resnt': there are .*cnn"):
        architectures.build("resnt")


def test_a_wrong_argument_is_answered_with_the_signature() -> None:
    with pytest.raises(ValueError, match=r"'cnn'.*image_sze.*; it is cnn\(image_size.*classes.*\)"):
        architectures.build("cnn", image_sze=24)


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("argument", ["image_size", "classes"])
@pytest.mark.parametrize("value", ["10", 2.0, True, None])
def test_non_integer_arguments_are_refused_with_their_value(name: str, argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{argument} is {value!r}: it must be a whole number"):
        architectures.build(name, **{argument: value})


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("classes", [1, 0, -1])
def test_fewer_than_two_classes_are_refused(name: str, classes: int) -> None:
    with pytest.raises(ValueError, match=f"classes is {classes}: a classifier needs at least 2"):
        architectures.build(name, classes=classes)


@pytest.mark.parametrize("name", architectures.names())
def test_an_image_that_is_too_small_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"image_size is 3: .* \d+ pixels"):
        architectures.build(name, image_size=3)
