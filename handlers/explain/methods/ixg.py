"""Input x Gradient (Shrikumar et al., "Not Just a Black Box", arXiv 1605.01713)."""

from __future__ import annotations

import torch

from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Multiply each normalized input value by the gradient of the score.

    Returns:
        (N, 3, H, W). Costs 1 forward and 1 backward pass.
    """
    from captum.attr import InputXGradient

    # Captum sets requires_grad on its input for a while, so give it a detached copy of the caller's tensor.
    images = inputs.images.detach().requires_grad_()
    values: torch.Tensor = InputXGradient(target_score).attribute(images, additional_forward_args=inputs.weights)
    return values


METHOD = Method(
    name="ixg",
    title="Input x Gradient",
    rank=80,
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    supports_smoothgrad=True,
)
