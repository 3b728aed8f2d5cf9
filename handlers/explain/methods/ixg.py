"""Input x Gradient (Shrikumar et al., "Not Just a Black Box", arXiv 1605.01713)."""

from __future__ import annotations

import torch
from captum.attr import InputXGradient

from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """Each normalized input value times the number's gradient there.

    Returns:
        (N, 3, H, W). Costs 1 pass forward and back.
    """
    # Captum marks what it is given as requiring a gradient, for a while: this must not be the caller's tensor.
    images = question.images.detach().requires_grad_()
    values: torch.Tensor = InputXGradient(readout).attribute(images, additional_forward_args=question.weights)
    return values


METHOD = Method(
    name="ixg",
    title="Input x Gradient",
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    smooths=True,
)
