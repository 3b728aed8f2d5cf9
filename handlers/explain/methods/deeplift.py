"""DeepLIFT, rescale rule (Shrikumar, Greenside, Kundaje, "Learning Important Features", arXiv 1704.02685)."""

from __future__ import annotations

import warnings

import torch
from captum.attr import DeepLift
from torch import nn
from torch.nn import functional

from handlers.explain.methods.introspection import Traits
from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, rows_at_once

# What differences pass through as captum has it, and max pooling as it stands below. Captum's rule for Softmax mixes
# the images of a batch, so there is none here.
RULES = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool2d)


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """Follow the difference between image and baseline back through the network, activation by activation.

    Returns:
        (N, 3, H, W). Costs 2 passes forward and back: image and baseline go through together.
    """
    # In captum 0.9 an activation right behind another (a MaxPool2d behind a ReLU) loses what its rule says, since both
    # hook one tensor. With a copy between them each has its own.
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: (inputs[0].clone(),))
        for module in readout.modules()
        if type(module) in RULES
    ]
    pairs = max(1, rows_at_once(question.images) // 2)
    try:
        return torch.cat([_differences(readout, part) for part in question.split(pairs)])
    finally:
        for hook in hooks:
            hook.remove()


def _differences(readout: Readout, question: Question) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting forward, backward hooks")
        values: torch.Tensor = Rescale(readout).attribute(
            question.images.detach().requires_grad_(), question.baselines, additional_forward_args=(question.weights,)
        )
    return values.detach()


class Rescale(DeepLift):  # type: ignore[misc]
    """Captum's, with a rule for max pooling that adds up where windows overlap: captum's keeps one of them."""

    def _backward_hook(self, module: nn.Module, grad_input: torch.Tensor, grad_output: torch.Tensor) -> torch.Tensor:
        if not isinstance(module, nn.MaxPool2d):
            result: torch.Tensor = super()._backward_hook(module, grad_input, grad_output)
            return result
        # Captum's own hooks have left them there.
        inputs, outputs = (module.__dict__.pop(name) for name in ("input", "output"))
        return max_pool(module, inputs, outputs, grad_input, grad_output, self.eps)


def max_pool(
    module: nn.MaxPool2d,
    inputs: torch.Tensor,
    outputs: torch.Tensor,
    grad_input: torch.Tensor,
    grad_output: torch.Tensor,
    eps: float,
) -> torch.Tensor:
    """How much the output changes for each change of the input; all tensors hold N images, then their N baselines.

    The way from the baseline's maximum to the image's is gone in two parts: to the larger of both at the place of the
    image's maximum, and the rest at that of the baseline's.
    """
    _, places = functional.max_pool2d(
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
    spread = torch.zeros_like(inputs).flatten(2).scatter_add_(2, places.flatten(2), shares.flatten(2))
    at_image, at_baseline = spread.view_as(inputs).chunk(2)
    image, baseline = inputs.chunk(2)
    difference = image - baseline
    slope = torch.where(difference.abs() < eps, grad_input.chunk(2)[0], (at_image + at_baseline) / difference)
    return torch.cat([slope, slope])


def refuses(traits: Traits) -> str | None:
    """It needs activations that are modules, each used once, of kinds there is a rule for."""
    if traits.functional:
        return f"needs activations that are modules, and this network calls functions: {', '.join(traits.functional)}"
    if traits.shared:
        return f"needs activations that are used once, and this network shares {', '.join(traits.shared)}"
    if without := [kind for kind in traits.kinds if kind not in {rule.__name__ for rule in RULES}]:
        return f"has no rule for {', '.join(without)}, which this network has"
    return None


METHOD = Method(
    name="deeplift",
    title="DeepLIFT",
    attribute=attribute,
    passes=lambda settings: Passes(2, 2),
    refuses=refuses,
    baseline="blur",
    smooths=True,
    complete=True,
)
