"""LayerCAM (Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps", IEEE TIP 30, 2021)."""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.methods.gradcam import refuses as without_places
from handlers.explain.methods.introspection import Traits
from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """A layer nearer to the image than Grad-CAM's, each value weighted with its own gradient where that is positive.

    Behind a ReLU, then, it has no evidence against. The paper clips at 0 once more, at the end; here what sign there is
    is kept.

    Returns:
        (N, 1, H, W), interpolated from the layer's own resolution. Costs 1 pass forward and back.
    """
    outputs: list[torch.Tensor] = []
    layer = readout.network.get_submodule(readout.traits.middle or "")
    hook = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    images = question.images.detach().requires_grad_()
    try:
        total = readout(images, question.weights).sum()
    finally:
        hook.remove()
    (slopes,) = torch.autograd.grad(total, outputs)
    values = (slopes.clamp(min=0) * outputs[0].detach()).sum(dim=1, keepdim=True)
    return functional.interpolate(values, images.shape[2:], mode="bilinear")


def refuses(traits: Traits) -> str | None:
    """It needs a layer that has places."""
    return without_places(traits) if traits.middle is None else None


METHOD = Method(
    name="layercam",
    title="LayerCAM",
    attribute=attribute,
    passes=lambda settings: Passes(1, 1),
    refuses=refuses,
    smooths=True,
)
