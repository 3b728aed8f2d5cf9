"""LayerCAM (Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps", IEEE TIP 30, 2021)."""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.gradcam import incompatibility as gradcam_incompatibility
from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Sum the channels of a finer layer than Grad-CAM's, each value weighted by its own gradient if it is positive.

    After a ReLU there is no evidence against the class. The paper clips at 0 once more at the end; here the sign stays.

    Returns:
        (N, 1, H, W), interpolated from the resolution of the layer. Costs 1 forward and 1 backward pass.
    """
    outputs: list[torch.Tensor] = []
    layer = target_score.network.get_submodule(target_score.introspection.middle or "")
    hook = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    images = inputs.images.detach().requires_grad_()
    try:
        total = target_score(images, inputs.weights).sum()
    finally:
        hook.remove()
    (slopes,) = torch.autograd.grad(total, outputs)
    values = (slopes.clamp(min=0) * outputs[0].detach()).sum(dim=1, keepdim=True)
    return functional.interpolate(values, images.shape[2:], mode="bilinear")


def incompatibility(introspection: Introspection) -> str | None:
    """Return why LayerCAM does not fit: it needs a spatial layer."""
    return gradcam_incompatibility(introspection) if introspection.middle is None else None


METHOD = Method(
    name="layercam",
    title="LayerCAM",
    rank=60,
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    incompatibility=incompatibility,
    supports_smoothgrad=True,
)
