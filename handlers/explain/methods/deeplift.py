"""DeepLIFT, rescale rule (Shrikumar, Greenside, Kundaje, "Learning Important Features", arXiv 1704.02685)."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore
from handlers.explain.methods.row_limit import rows_at_once

if TYPE_CHECKING:
    from captum.attr import DeepLift

# Modules with a rule: captum's rules, and `max_pool` for max pooling. Softmax has none here: captum's rule mixes the
# images of a batch.
RULES = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool2d)


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Propagate the difference between image and baseline backward through the network, activation by activation.

    Returns:
        (N, 3, H, W). Costs 2 forward and 2 backward passes: image and baseline go through together.
    """
    # In captum 0.9 the rule of an activation directly after another (MaxPool2d after ReLU) is lost, because both hook
    # the same tensor. A copy between them gives each its own tensor.
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: (inputs[0].clone(),))
        for module in target_score.modules()
        if type(module) in RULES
    ]
    pairs = max(1, rows_at_once(inputs.images) // 2)
    try:
        return torch.cat([_differences(target_score, part) for part in inputs.split(pairs)])
    finally:
        for hook in hooks:
            hook.remove()


def _differences(target_score: TargetScore, inputs: AttributionInputs) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting forward, backward hooks")
        values: torch.Tensor = _rescale_class()(target_score).attribute(
            inputs.images.detach().requires_grad_(), inputs.baselines, additional_forward_args=(inputs.weights,)
        )
    return values.detach()


@cache
def _rescale_class() -> type[DeepLift]:
    """Return captum's DeepLift with a max pooling rule that is right for overlapping windows."""
    from captum.attr import DeepLift

    class Rescale(DeepLift):  # type: ignore[misc]
        def _backward_hook(
            self, module: nn.Module, grad_input: torch.Tensor, grad_output: torch.Tensor
        ) -> torch.Tensor:
            if not isinstance(module, nn.MaxPool2d):
                result: torch.Tensor = super()._backward_hook(module, grad_input, grad_output)
                return result
            # Captum's own hooks have stored these on the module.
            inputs, outputs = (module.__dict__.pop(name) for name in ("input", "output"))
            return max_pool(module, inputs, outputs, grad_input, grad_output, self.eps)

    return Rescale


def max_pool(
    module: nn.MaxPool2d,
    inputs: torch.Tensor,
    outputs: torch.Tensor,
    grad_input: torch.Tensor,
    grad_output: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """Return the slope of the output for each input; all tensors hold N images, then their N baselines.

    The difference of the two maxima is split in two. The part up to the larger maximum goes to the position of the
    image's maximum, the other part to the position of the baseline's maximum.
    """
    _, positions = functional.max_pool2d(
        inputs,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    output, reference = outputs.chunk(2)
    larger = torch.maximum(output, reference)
    shares = grad_output * torch.cat([larger - reference, output - larger])
    spread = torch.zeros_like(inputs).flatten(2).scatter_add_(2, positions.flatten(2), shares.flatten(2))
    at_image, at_baseline = spread.view_as(inputs).chunk(2)
    image, baseline = inputs.chunk(2)
    difference = image - baseline
    slope = torch.where(difference.abs() < eps, grad_input.chunk(2)[0], (at_image + at_baseline) / difference)
    return torch.cat([slope, slope])


def incompatibility(introspection: Introspection) -> str | None:
    """Return why DeepLIFT does not fit: it needs activations that are modules, used once, and have a rule."""
    if introspection.functional:
        functions = ", ".join(introspection.functional)
        return f"needs activations that are modules, and this network calls functions: {functions}"
    if introspection.shared:
        return f"needs activations that are used once, and this network shares {', '.join(introspection.shared)}"
    if without := [kind for kind in introspection.kinds if kind not in {rule.__name__ for rule in RULES}]:
        return f"has no rule for {', '.join(without)}, which this network has"
    return None


METHOD = Method(
    name="deeplift",
    title="DeepLIFT",
    rank=10,
    attribute=attribute,
    passes=lambda settings: Passes(2, 2),
    incompatibility=incompatibility,
    baseline="blur",
    supports_smoothgrad=True,
    complete=True,
)
