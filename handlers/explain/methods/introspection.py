"""Facts about a network that attribution methods need, found by running it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Modules that are linear in evaluation mode: differences pass through them as gradients do.
LINEAR = frozenset(
    "Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm "
    "AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d Dropout Dropout1d Dropout2d AlphaDropout Identity "
    "Flatten Unflatten Upsample UpsamplingBilinear2d UpsamplingNearest2d PixelShuffle PixelUnshuffle "
    "ChannelShuffle Fold Unfold ZeroPad2d ReflectionPad2d ReplicationPad2d ConstantPad2d".split()
)
# Functions that are not linear, by their names in torch.
FUNCTIONS = frozenset(
    "relu relu_ relu6 leaky_relu leaky_relu_ prelu rrelu elu elu_ selu celu glu gelu silu mish hardtanh hardtanh_ "
    "hardswish hardsigmoid sigmoid sigmoid_ logsigmoid tanh tanh_ softplus softsign softmax log_softmax softmin "
    "normalize layer_norm group_norm instance_norm rms_norm max_pool1d max_pool2d boolean_dispatch fn "
    "adaptive_max_pool2d amax amin maximum minimum max min clamp clamp_ clip abs pow square sqrt rsqrt exp log erf "
    "reciprocal norm where".split()
)
# Functions that mix positions.
MIXING = frozenset(
    "scaled_dot_product_attention multi_head_attention_forward _native_multi_head_attention "
    "_transformer_encoder_layer_fwd".split()
)
# Products: linear only if one factor is a weight.
PRODUCTS = frozenset("mul mul_ __mul__ __imul__ div __truediv__ matmul __matmul__ bmm baddbmm einsum".split())


@dataclass(frozen=True, slots=True)
class Introspection:
    """Facts about a network.

    Attributes:
        layer: dotted name of the module for class activation maps: the last one at the resolution of the last
            convolution, so that it includes norm, activation and skip connection. None if there is no convolution, or
            if later layers mix positions, such as attention.
        middle: dotted name of the module for LayerCAM: the last activation with at least twice that resolution, or
            `layer`. None as for `layer`.
        functional: names of functions that act as activations without a module, such as "relu" or "softmax".
        shared: dotted names of activations that are used more than once.
        kinds: types of the modules that are not linear, such as "ReLU" or "GELU".
    """

    layer: str | None = None
    middle: str | None = None
    functional: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


def introspect(network: nn.Module, size: int, layer: str | None = None) -> Introspection:
    """Run one blank image of `size` pixels through the network and collect facts about it.

    Args:
        network: in evaluation mode.
        layer: the module for class activation maps, if it is known; otherwise it is chosen.

    Raises:
        ValueError: the layer does not exist, or its output is not spatial.
    """
    run = _run(network, size)
    names = {module: name for name, module in network.named_modules()}
    calls = Counter(module for module, _ in run.outputs if _is_leaf(module) and _kind(module) not in LINEAR)
    maps = {names[module]: shape for module, shape in run.outputs[run.mixed :] if _is_spatial(shape)}
    convolutions = [name for name in maps if isinstance(network.get_submodule(name), nn.Conv2d)]
    if layer is not None and layer not in maps:
        examples = ", ".join(convolutions[-3:]) or "none"
        raise ValueError(
            f"layer {layer!r:.80} is not a module whose output keeps its places to the end: there is {examples}"
        )
    last, middle = _layers(network, maps, convolutions[-1]) if convolutions else (None, None)
    return Introspection(
        layer or last,
        middle,
        tuple(dict.fromkeys(run.functions)),
        tuple(names[module] for module, count in calls.items() if count > 1),
        tuple(dict.fromkeys(_kind(module) for module in calls)),
    )


def _layers(network: nn.Module, maps: dict[str, torch.Size], convolution: str) -> tuple[str, str]:
    """Return the last layer at the convolution's resolution, and the last activation with twice the resolution."""
    side = maps[convolution][2]
    following = list(maps)[list(maps).index(convolution) :]
    last = [name for name in following if maps[name][2] == side][-1]
    # Exclude modules inside `last`: if a block halves the resolution, its first layers are only one of two branches.
    activations = [name for name in maps if _kind(network.get_submodule(name)) not in LINEAR]
    finer = [name for name in activations if maps[name][2] >= 2 * side and not name.startswith(f"{last}.")]
    return last, finer[-1] if finer else last


class _Run(TorchFunctionMode):
    """A record of a run: modules with the shapes of their outputs, and functions called outside of leaf modules."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[nn.Module] = []
        self.outputs: list[tuple[nn.Module, torch.Size]] = []
        self.functions: list[str] = []
        self.mixed = 0  # outputs before this index are mixed by later layers

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if not (self.inside and _is_leaf(self.inside[-1]) and type(self.inside[-1]).__module__.startswith("torch.nn.")):
            # A weight may be scaled as well; only values that depend on the image have a gradient function.
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
            if output.dim() == 3:  # positions have become tokens
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


def _is_spatial(shape: torch.Size) -> bool:
    return len(shape) == 4 and min(shape[2:]) > 1
