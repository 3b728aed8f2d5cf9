"""Grad-CAM (Selvaraju et al., "Visual Explanations from Deep Networks", arXiv 1610.02391)."""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Sum the channels of the last spatial layer, weighted by their mean gradients.

    The paper ends with a ReLU. It is left out here, so that evidence against the class stays visible.

    Returns:
        (N, 1, H, W), interpolated from the resolution of the layer. Costs 1 forward and 1 backward pass.
    """
    from captum.attr import LayerGradCam

    layer = target_score.network.get_submodule(target_score.introspection.layer or "")
    images = inputs.images.detach().requires_grad_()
    values: torch.Tensor = LayerGradCam(target_score, layer).attribute(
        images, additional_forward_args=inputs.weights, relu_attributions=False
    )
    return functional.interpolate(values.detach(), images.shape[2:], mode="bilinear")


def incompatibility(introspection: Introspection) -> str | None:
    """Return why Grad-CAM does not fit: it needs a spatial layer."""
    if introspection.layer is not None:
        return None
    return "needs a convolution whose output keeps its places to the end, and this network has none"


METHOD = Method(
    name="gradcam",
    title="Grad-CAM",
    rank=70,
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    incompatibility=incompatibility,
    supports_smoothgrad=True,
)
