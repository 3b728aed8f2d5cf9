"""What attribution methods have to know of a network, found by running it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Modules that are linear once trained: differences pass through them as gradients do.
LINEAR = frozenset(
    "Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm "
    "AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d Dropout Dropout1d Dropout2d AlphaDropout Identity "
    "Flatten Unflatten Upsample UpsamplingBilinear2d UpsamplingNearest2d PixelShuffle PixelUnshuffle "
    "ChannelShuffle Fold Unfold ZeroPad2d ReflectionPad2d ReplicationPad2d ConstantPad2d".split()
)
# Functions that are not, by the names that torch calls them.
FUNCTIONS = frozenset(
    "relu relu_ relu6 leaky_relu leaky_relu_ prelu rrelu elu elu_ selu celu glu gelu silu mish hardtanh hardtanh_ "
    "hardswish hardsigmoid sigmoid sigmoid_ logsigmoid tanh tanh_ softplus softsign softmax log_softmax softmin "
    "normalize layer_norm group_norm instance_norm rms_norm max_pool1d max_pool2d boolean_dispatch fn "
    "adaptive_max_pool2d amax amin maximum minimum max min clamp clamp_ clip abs pow square sqrt rsqrt exp log erf "
    "reciprocal norm where".split()
)
# Functions in which every place looks at every other.
MIXING = frozenset(
    "scaled_dot_product_attention multi_head_attention_forward _native_multi_head_attention "
    "_transformer_encoder_layer_fwd".split()
)
# Products, which are linear only as long as one side is a weight.
PRODUCTS = frozenset("mul mul_ __mul__ __imul__ div __truediv__ matmul __matmul__ bmm baddbmm einsum".split())


@dataclass(frozen=True, slots=True)
class Traits:
    """What a network is made of.

    Attributes:
        layer: the module, by its dotted name, whose output class activation maps are taken from: the last one that is
            as fine as the last convolution, so norm, activation and the way round a block are in it; None where there
            is no convolution, or its places are mixed afterwards, as by attention.
        middle: that of LayerCAM: the last activations that are at least twice as fine, or `layer`; None likewise.
        functional: names of functions that act as activations without being a module, such as "relu" or "softmax".
        shared: dotted names of activations that are used more than once.
        kinds: types of the modules that are not linear, such as "ReLU" or "GELU".
    """

    layer: str | None = None
    middle: str | None = None
    functional: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def scan(network: nn.Module, size: int, layer: str | None = None) -> Traits:
    """Find out what the network is made of, by running one blank image of `size` pixels.

    Args:
        network: in evaluation mode.
        layer: the one to take class activation maps from, where it is known; otherwise it is chosen.

    Raises:
        ValueError: there is no such layer, or its output has no places.
    """
    run = _run(network, size)
    names = {module: name for name, module in network.named_modules()}
    calls = Counter(module for module, _ in run.outputs if _is_leaf(module) and _kind(module) not in LINEAR)
    maps = {names[module]: shape for module, shape in run.outputs[run.mixed :] if _has_places(shape)}
    convolutions = [name for name in maps if isinstance(network.get_submodule(name), nn.Conv2d)]
    if layer is not None and layer not in maps:
        choice = ", ".join(convolutions[-3:]) or "none"
        raise ValueError(
            f"layer {layer!r:.80} is no module whose output keeps its places to the end: there is {choice}"
        )
    last, middle = _layers(network, maps, convolutions[-1]) if convolutions else (None, None)
    return Traits(
        layer or last,
        middle,
        tuple(dict.fromkeys(run.functions)),
        tuple(names[module] for module, count in calls.items() if count > 1),
        tuple(dict.fromkeys(_kind(module) for module in calls)),
    )


def _layers(network: nn.Module, maps: dict[str, torch.Size], convolution: str) -> tuple[str, str]:
    """What the last convolution becomes before it is pooled, and the last activations that are twice as fine."""
    side = maps[convolution][2]
    behind = list(maps)[list(maps).index(convolution) :]
    last = [name for name in behind if maps[name][2] == side][-1]
    # Not what is within the last: of a block that halves the places, its first layers are one of two ways only.
    active = [name for name in maps if _kind(network.get_submodule(name)) not in LINEAR]
    finer = [name for name in active if maps[name][2] >= 2 * side and not name.startswith(f"{last}.")]
    return last, finer[-1] if finer else last


class _Run(TorchFunctionMode):
    """What is called while a network runs: its modules with the shapes of their outputs, and functions outside them."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[nn.Module] = []
        self.outputs: list[tuple[nn.Module, torch.Size]] = []
        self.functions: list[str] = []
        self.mixed = 0  # the outputs before this one do not tell any more which place is which

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if not (self.inside and _is_leaf(self.inside[-1]) and type(self.inside[-1]).__module__.startswith("torch.nn.")):
            # A weight may be scaled, too: only what comes from the image has a history.
            products = sum(isinstance(value, torch.Tensor) and value.grad_fn is not None for value in args) > 1
            if name in FUNCTIONS or name in MIXING or (name in PRODUCTS and products):
                self.functions.append(name.strip("_"))
        if name in MIXING:
            self.mixed = len(self.outputs)
        return func(*args, **(kwargs or {}))


def _run(network: nn.Module, size: int) -> _Run:
    run = _Run()

    def enter(module: nn.Module, inputs: Any) -> None:
        run.inside.append(module)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        run.inside.pop()
        if isinstance(output, torch.Tensor):
            run.outputs.append((module, output.shape))
            if output.dim() == 3:  # places have become tokens
                run.mixed = len(run.outputs)

    hooks = [module.register_forward_pre_hook(enter) for module in network.modules()]
    hooks += [module.register_forward_hook(leave) for module in network.modules()]
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    try:
        with torch.inference_mode(False), torch.enable_grad(), run:
            network(torch.zeros(1, 3, size, size, device=device, requires_grad=True))
    finally:
        for hook in hooks:
            hook.remove()
    return run


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _kind(module: nn.Module) -> str:
    return type(module).__name__


def _has_places(shape: torch.Size) -> bool:
    return len(shape) == 4 and min(shape[2:]) > 1
