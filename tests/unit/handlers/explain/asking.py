"""Helpers of the tests of attribution methods: small networks, and a call of any method on them."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from handlers.explain.methods import baselines
from handlers.explain.methods.attribution import Attribution, attribute
from handlers.explain.methods.background import MAX_IMAGES, Background
from handlers.explain.methods.introspection import introspect
from handlers.explain.methods.method import Method, MethodSettings, TargetScore
from handlers.explain.registry import METHODS
from models import architectures
from models.card import Input

SIZE, CLASSES = 16, 5
SPEC = Input(size=SIZE, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))
ALL = list(METHODS.values())
COMPLETE = [method for method in ALL if method.complete]


def network(name: str, seed: int = 0) -> nn.Module:
    """An architecture with random weights, whose norms are not the identity."""
    torch.manual_seed(seed)
    small = {"resnet9": {"width": 4}, "vit_tiny": {"dim": 12, "depth": 2}}
    built = architectures.build(name, image_size=SIZE, classes=CLASSES, **small.get(name, {}))
    return bent(built)


def bent(explained: nn.Module) -> nn.Module:
    """The network with random weights in its norms."""
    for module in explained.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.weight, mean=1, std=0.2)
    return explained.eval().requires_grad_(False)


def used(explained: nn.Module) -> nn.Module:
    """The network with random weights and statistics in its norms, as if it had seen images."""
    for module in explained.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return bent(explained)


def linear_network() -> nn.Sequential:
    """A network of one linear layer."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES))


def slopes(linear: nn.Sequential, weights: torch.Tensor) -> torch.Tensor:
    """Return the gradient (N, 3, SIZE, SIZE) of the target score of a linear network."""
    layer = linear.get_parameter("1.weight").detach()
    return (weights @ layer).view(-1, 3, SIZE, SIZE)


def images(count: int, seed: int = 1) -> torch.Tensor:
    """Return smooth random images, normalized, (count, 3, SIZE, SIZE)."""
    drawn = torch.randn(count, 3, SIZE // 4, SIZE // 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(drawn, (SIZE, SIZE), mode="bilinear")


def targets(*requested: int | tuple[int, int]) -> torch.Tensor:
    """Return weights (N, CLASSES) of a class, or of a contrast of two classes."""
    weights = torch.zeros(len(requested), CLASSES)
    for row, request in enumerate(requested):
        for sign, index in zip((1, -1), request if isinstance(request, tuple) else (request,), strict=False):
            weights[row, index] = sign
    return weights


def ask(
    method: Method,
    explained: nn.Module,
    shown: torch.Tensor,
    weights: torch.Tensor,
    settings: MethodSettings | None = None,
) -> Attribution:
    """Explain images by a method, with its default settings unless `settings` is given."""
    chosen = settings or method.settings
    target_score = TargetScore(explained, introspect(explained, shown.shape[2]))
    training_images = background(explained, shown.shape[2]) if method.baseline == baselines.TRAINING_IMAGES else None
    inputs = baselines.attribution_inputs(shown, weights, chosen, SPEC, training_images)
    return attribute(method, target_score, inputs, chosen)


@cache
def background(explained: nn.Module, size: int) -> Background:
    """Return random images in place of training images, with their logits by the network."""
    drawn = nn.functional.interpolate(images(MAX_IMAGES, seed=7), (size, size))
    with torch.no_grad():
        return Background(drawn, torch.cat([explained(chunk) for chunk in drawn.split(1)]))
