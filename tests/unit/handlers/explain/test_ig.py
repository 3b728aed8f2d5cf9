from __future__ import annotations

import pytest
import torch
from torch import nn

from handlers.explain import ig


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def linear() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))


@pytest.fixture
def bent() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))


def test_on_a_linear_network_it_is_weight_times_difference(linear: nn.Sequential, images: torch.Tensor) -> None:
    targets = torch.tensor([0, 4, 2, 2])
    found = ig.attribute(linear, images, targets)
    weights = linear[1].weight.detach()[targets].view(4, 3, 8, 8)
    assert torch.allclose(found.values, weights * (images - ig.blur(images)), atol=1e-5)
    assert torch.allclose(found.f_x, linear(images).detach()[range(4), targets])
    assert torch.allclose(found.f_baseline, linear(ig.blur(images)).detach()[range(4), targets])
    assert found.parameters == {"steps": 20, "baseline": "blur"}


def test_on_a_linear_network_nothing_is_left_over(linear: nn.Sequential, images: torch.Tensor) -> None:
    found = ig.attribute(linear, images, torch.tensor([0, 1, 2, 3]))
    for row in range(4):
        assert found.completeness(row) == {"delta": pytest.approx(0, abs=1e-4), "ok": True}


def test_on_a_network_with_activations_it_adds_up(bent: nn.Sequential, images: torch.Tensor) -> None:
    found = ig.attribute(bent, images, torch.tensor([0, 1, 2, 3]))
    sums = found.values.sum(dim=(1, 2, 3))
    assert torch.allclose(sums, found.f_x - found.f_baseline, atol=0.05)
    assert [found.completeness(row)["ok"] for row in range(4)] == [True] * 4


def test_each_image_of_a_batch_has_its_own_target(bent: nn.Sequential, images: torch.Tensor) -> None:
    targets = torch.tensor([3, 0, 3, 1])
    together = ig.attribute(bent, images, targets)
    for row in range(4):
        alone = ig.attribute(bent, images[row : row + 1], targets[row : row + 1])
        assert torch.allclose(together.values[row], alone.values[0], atol=1e-6)
    other = ig.attribute(bent, images, torch.tensor([3, 0, 3, 2]))
    assert torch.equal(other.values[:3], together.values[:3])
    assert not torch.allclose(other.values[3], together.values[3], atol=1e-3)


def test_a_batch_larger_than_one_pass_is_explained(linear: nn.Sequential) -> None:
    images = torch.randn(ig.MAX_ROWS + 6, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    targets = torch.arange(len(images)) % 5
    found = ig.attribute(linear, images, targets)
    weights = linear[1].weight.detach()[targets].view(-1, 3, 8, 8)
    assert torch.allclose(found.values, weights * (images - ig.blur(images)), atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_is_left_as_it_was(bent: nn.Sequential, images: torch.Tensor, training: bool, frozen: bool) -> None:
    bent.train(training).requires_grad_(not frozen)
    before = {name: value.clone() for name, value in bent.state_dict().items()}
    inputs = images.clone()
    ig.attribute(bent, inputs, torch.tensor([0, 1, 2, 3]))
    assert bent.training is training
    assert all(torch.equal(value, before[name]) for name, value in bent.state_dict().items())
    assert [parameter.grad for parameter in bent.parameters()] == [None] * 4
    assert {parameter.requires_grad for parameter in bent.parameters()} == {not frozen}
    assert [dict(module._forward_hooks) | dict(module._forward_pre_hooks) for module in bent.modules()] == [{}] * 5
    assert torch.equal(inputs, images)
    assert (inputs.requires_grad, inputs.grad) == (False, None)


def test_it_works_where_gradients_are_switched_off(linear: nn.Sequential, images: torch.Tensor) -> None:
    with torch.no_grad():
        found = ig.attribute(linear, images, torch.tensor([0, 1, 2, 3]))
    assert float(found.values.abs().max()) > 0
    assert not found.values.requires_grad


@pytest.mark.parametrize(("height", "width"), [(24, 24), (4, 4), (9, 17), (32, 5)])
def test_blur_keeps_a_constant_image(height: int, width: int) -> None:
    image = torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(2, 3, height, width)
    assert torch.allclose(ig.blur(image), image, atol=1e-5)


def test_blur_spreads_a_point_evenly_and_keeps_channels_apart() -> None:
    image = torch.zeros(1, 3, 33, 33)
    image[0, 1, 16, 16] = 1
    blurred = ig.blur(image)
    assert blurred.shape == (1, 3, 33, 33)
    assert float(blurred[0, 1].sum()) == pytest.approx(1, abs=1e-4)
    assert int(blurred[0, 1].argmax()) == 16 * 33 + 16
    assert torch.allclose(blurred[0, 1], blurred[0, 1].T, atol=1e-7)
    assert torch.allclose(blurred[0, 1], blurred[0, 1].flip(0), atol=1e-7)
    assert blurred[0, [0, 2]].abs().sum() == 0
