"""Grad-CAM (Selvaraju et al., "Visual Explanations from Deep Networks", arXiv 1610.02391)."""

from __future__ import annotations

import torch
from captum.attr import LayerGradCam
from torch.nn import functional

from handlers.explain.methods.introspection import Traits
from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """The last layer that has places, its channels weighted with their mean gradient.

    Signed: without the ReLU that the paper ends with, so that evidence against is seen too.

    Returns:
        (N, 1, H, W), interpolated from the layer's own resolution. Costs 1 pass forward and back.
    """
    layer = readout.network.get_submodule(readout.traits.layer or "")
    images = question.images.detach().requires_grad_()
    values: torch.Tensor = LayerGradCam(readout, layer).attribute(
        images, additional_forward_args=question.weights, relu_attributions=False
    )
    return functional.interpolate(values.detach(), images.shape[2:], mode="bilinear")


def refuses(traits: Traits) -> str | None:
    """It needs a layer that has places."""
    if traits.layer is not None:
        return None
    return "needs a convolution whose output keeps its places to the end, and this network has none"


METHOD = Method(
    name="gradcam",
    title="Grad-CAM",
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    refuses=refuses,
    smooths=True,
)
