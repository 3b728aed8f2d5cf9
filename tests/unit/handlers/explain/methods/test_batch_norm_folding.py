"""A network whose batch norms were folded, beside itself."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.nn.utils.parametrizations import weight_norm

from handlers.explain.methods.batch_norm_folding import fold_batch_norms
from models import architectures
from tests.unit.handlers.explain.asking import CLASSES, SIZE, images, used


class Block(nn.Module):
    """A convolution, a norm behind it and a linear layer; those derived from it make the maps in other ways."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.linear = nn.Linear(3 * SIZE * SIZE, CLASSES)

    def maps(self, shown: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(shown)).relu()

    def forward(self, shown: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.maps(shown).flatten(1))
        return logits


class Twice(Block):
    """One convolution, each time before another norm."""

    def maps(self, shown: torch.Tensor) -> torch.Tensor:
        return self.second(self.convolution(self.norm(self.convolution(shown)).relu())).relu()


class SameNorm(Block):
    """One norm, behind two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Conv2d(3, 3, 1, bias=False)

    def maps(self, shown: torch.Tensor) -> torch.Tensor:
        return self.norm(self.other(self.norm(self.convolution(shown)).relu())).relu()


class Beside(Block):
    """A network that uses the input of its norm a second time."""

    def maps(self, shown: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(shown)
        return self.norm(maps).relu() + maps


class OfTheBatch(Block):
    """A norm that takes mean and deviation from its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)


class Hooked(Block):
    """Whose maps are changed on their way to the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution.register_forward_hook(lambda *arguments: arguments[2] * 2)


class Parametrized(Block):
    """Whose weights are worked out from others in each pass."""

    def __init__(self) -> None:
        super().__init__()
        weight_norm(self.convolution)


def gradients(network: nn.Module, shown: torch.Tensor) -> torch.Tensor:
    shown = shown.detach().requires_grad_()
    return torch.autograd.grad(network(shown)[:, 0].sum(), shown)[0]


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def folded(network: nn.Module, shown: torch.Tensor) -> tuple[fx.GraphModule, bool]:
    """The same, folded, after a look at whether it answers as before."""
    shown = shown.double()
    traced = fx.GraphModule(network, fx.Tracer().trace(network))
    answered, slopes = network(shown), gradients(network, shown)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    result = fold_batch_norms(traced)
    assert torch.allclose(traced(shown), answered, rtol=1e-9, atol=1e-12)
    assert torch.allclose(gradients(traced, shown), slopes, rtol=1e-9, atol=1e-9 * float(slopes.abs().max()))
    assert torch.equal(network(shown), answered), "the network itself stays as it was"
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert float(slopes.abs().max()) > 1e-6
    return traced, result


@pytest.mark.parametrize(
    ("kind", "left"),
    [(Block, 0), (Twice, 0), (SameNorm, 0), (Beside, 1), (OfTheBatch, 1), (Hooked, 1), (Parametrized, 1)],
)
def test_a_norm_is_folded_where_it_can_be_and_answers_and_gradients_stay(kind: type[Block], left: int) -> None:
    torch.manual_seed(4)
    traced, result = folded(used(kind()).double(), images(2))
    assert norms(traced) == left
    assert result is (left == 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.names())
def test_architectures_keep_only_norms_behind_a_pooling(name: str) -> None:
    torch.manual_seed(5)
    network = used(architectures.build(name, image_size=32, classes=CLASSES)).double()
    traced, result = folded(network, nn.functional.interpolate(images(2), (32, 32)))
    # A maximum of what is multiplied by a negative number is another one.
    assert norms(traced) == (3 if name == "resnet9" else 0)
    assert result is (norms(network) > 0)
