"""The interface of an attribution method. Each method is one file of this package that sets `METHOD`.

Method files import captum inside their functions. Importing captum takes a second and 100 MB, and a worker that only
predicts needs the names of the methods, but not captum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.linear_prefix import LinearPrefix

if TYPE_CHECKING:
    from handlers.explain.methods.background import Background


class TargetScore(nn.Module):
    """The number that is explained: a weighted sum of the network's logits.

    To explain one class, its weight is 1 and all others are 0. In a contrast, "why A and not B", A has 1 and B has -1.

    Args:
        network: float32, differentiable, in evaluation mode; maps images to logits (N, classes).
        introspection: facts about the network, such as the layers that class activation maps are taken from.
    """

    def __init__(self, network: nn.Module, introspection: Introspection) -> None:
        super().__init__()
        self.network = network
        self.introspection = introspection
        self.prefix = LinearPrefix(network)

    def forward(self, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the scores (N,) of images (N, 3, H, W) with weights (N, classes)."""
        logits: torch.Tensor = self.network(images)
        return (logits * weights).sum(dim=1)

    def from_features(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the same scores (N,) from the output of the linear prefix."""
        logits: torch.Tensor = self.prefix.remainder(features)
        return (logits * weights).sum(dim=1)


@dataclass(frozen=True, slots=True)
class MethodSettings:
    """The settings of a method. A setting that the method does not have stays None.

    Attributes:
        steps: number of steps or samples, see the method's StepRange.
        baseline: one of handlers.explain.methods.baselines.NAMES, or TRAINING_IMAGES.
        smoothgrad_samples: number of noisy copies of the image to average over (SmoothGrad); 0 is off.
    """

    steps: int | None = None
    baseline: str | None = None
    smoothgrad_samples: int = 0


@dataclass(frozen=True, slots=True)
class AttributionInputs:
    """N images, and the weights that define the score to explain of each.

    Attributes:
        images: normalized, float32 (N, 3, H, W); not made under inference_mode.
        weights: float32 (N, classes), see TargetScore.
        baselines: (N, 3, H, W); None if the settings name no baseline, or the training images.
        background: training images that all images are compared with; None unless the settings name them.
    """

    images: torch.Tensor
    weights: torch.Tensor
    baselines: torch.Tensor | None = None
    background: Background | None = None

    @property
    def required_baselines(self) -> torch.Tensor:
        """The baselines, for a method that needs them.

        Raises:
            ValueError: the settings name no baseline.
        """
        if self.baselines is None:
            raise ValueError("the method needs a baseline, and the inputs have none")
        return self.baselines

    @property
    def required_background(self) -> Background:
        """The training images, for a method that compares with them.

        Raises:
            ValueError: the settings do not name them.
        """
        if self.background is None:
            raise ValueError("the method needs training images, and the inputs have none")
        return self.background

    def split(self, rows: int) -> list[AttributionInputs]:
        """Return the same inputs in chunks of at most `rows` images."""
        return [
            AttributionInputs(
                self.images[first : first + rows],
                self.weights[first : first + rows],
                None if self.baselines is None else self.baselines[first : first + rows],
                self.background,
            )
            for first in range(0, len(self.images), rows)
        ]


class Passes(NamedTuple):
    """The cost of a method for one image: number of forward and of backward passes."""

    forward: int
    backward: int


def passes_per_step(settings: MethodSettings) -> Passes:
    """Return one forward and one backward pass for each step or sample."""
    steps = settings.steps or 0
    return Passes(steps, steps)


@dataclass(frozen=True, slots=True)
class StepRange:
    """The range of the `steps` setting: more steps are more exact and slower.

    Attributes:
        unit: what is counted, in the plural: steps, samples.
    """

    unit: str
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Method:
    """An attribution method. An image gets the same attribution in a batch as alone.

    Attributes:
        name: value of the option `method`.
        title: name in legends and reports.
        rank: order in which a deadline tries methods of unknown faithfulness, lowest first. The built-in methods have
            10 to 80.
        attribute: (target_score, inputs, settings) -> signed values: how much each input value adds to the score.
            (N, 3, H, W), or (N, 1, H, W) if the method does not separate channels.
        passes: cost with these settings.
        incompatibility: why the method does not fit a network, worded to follow "method <name> "; None if it fits.
        steps: range of the setting `steps`; None if the method has no steps.
        baseline: default baseline; None if the method has no baseline.
        supports_smoothgrad: whether the method may be averaged over noisy copies of the image.
        complete: whether the values sum to the difference between the scores of image and baseline.
    """

    name: str
    title: str
    rank: int
    attribute: Callable[[TargetScore, AttributionInputs, MethodSettings], torch.Tensor]
    passes: Callable[[MethodSettings], Passes]
    incompatibility: Callable[[Introspection], str | None] = lambda introspection: None
    steps: StepRange | None = None
    baseline: str | None = None
    supports_smoothgrad: bool = False
    complete: bool = False

    @property
    def settings(self) -> MethodSettings:
        """Return the default settings."""
        return MethodSettings(self.steps.default if self.steps else None, self.baseline)
