"""What an attribution method is: one file of this package each, all with this interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from handlers.explain.methods.introspection import Traits
from handlers.explain.methods.linear_prefix import Stem

# Rows of images times steps in one pass. On a CPU more gains nothing, and an unbounded tensor costs 1.6 times as much.
MAX_ROWS = 64
# Of images larger than 64 pixels fewer: what 64 rows of ResNet-50 at 224 keep for the way back is gigabytes.
MAX_PIXELS = MAX_ROWS * 64 * 64


class Readout(nn.Module):
    """The number that is explained: a weighted sum of the network's logits.

    For one class its weight is 1, and all others are 0; for a contrast, "why A and not B", A has 1 and B has -1.

    Args:
        network: float32, differentiable, in evaluation mode; maps images to logits (N, classes).
        traits: what is known of it, and which layers class activation maps are taken from.
    """

    def __init__(self, network: nn.Module, traits: Traits) -> None:
        super().__init__()
        self.network = network
        self.traits = traits
        self.stem = Stem(network)

    def forward(self, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, H, W) and weights (N, classes) -> (N,)."""
        logits: torch.Tensor = self.network(images)
        return (logits * weights).sum(dim=1)

    def rest(self, features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The same number from what the network's stem made of the images."""
        logits: torch.Tensor = self.stem.rest(features)
        return (logits * weights).sum(dim=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a method is run. What it does not have stays None.

    Attributes:
        steps: of the path, or samples: what the method's `Steps` call them.
        baseline: a name of handlers.explain.methods.baselines.
        smoothgrad_samples: noisy copies of the image to average over (SmoothGrad); 0 is none.
    """

    steps: int | None = None
    baseline: str | None = None
    smoothgrad_samples: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """N images, and the number that is to be explained of each.

    Attributes:
        images: normalized, float32 (N, 3, H, W); not made under inference_mode.
        weights: float32 (N, classes), see Readout.
        baselines: (N, 3, H, W), where the settings name one.
    """

    images: torch.Tensor
    weights: torch.Tensor
    baselines: torch.Tensor | None = None

    def split(self, rows: int) -> list[Question]:
        """The same for at most so many images at a time."""
        return [
            Question(
                self.images[first : first + rows],
                self.weights[first : first + rows],
                None if self.baselines is None else self.baselines[first : first + rows],
            )
            for first in range(0, len(self.images), rows)
        ]


def rows_at_once(images: torch.Tensor) -> int:
    """How many rows of such images, (N, 3, H, W), go through the network in one pass."""
    return max(1, min(MAX_ROWS, MAX_PIXELS // (images.shape[2] * images.shape[3])))


class Passes(NamedTuple):
    """What a method costs an image: passes forward through the network, and passes back."""

    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class Steps:
    """The number that makes a method more exact and slower.

    Attributes:
        word: what it counts, in the plural: steps, samples.
    """

    word: str
    default: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Method:
    """An attribution method. All images of a question are explained as each would be alone.

    Attributes:
        name: by which requests ask for it.
        title: what people call it.
        attribute: (readout, question, settings) -> values, signed: how much each input value adds to the number;
            (N, 3, H, W), or (N, 1, H, W) where the method tells no channels apart.
        passes: its cost with these settings.
        refuses: why it is wrong for a network, in words that follow "method <name> "; None where it is right.
        steps: None where there is nothing to choose.
        baseline: the one it takes unless asked; None where it has none.
        smooths: whether noisy copies of the image can be averaged over.
        complete: whether its values add up to the difference between image and baseline.
    """

    name: str
    title: str
    attribute: Callable[[Readout, Question, Settings], torch.Tensor]
    passes: Callable[[Settings], Passes]
    refuses: Callable[[Traits], str | None] = lambda traits: None
    steps: Steps | None = None
    baseline: str | None = None
    smooths: bool = False
    complete: bool = False

    @property
    def settings(self) -> Settings:
        """How it is run unless asked otherwise."""
        return Settings(self.steps.default if self.steps else None, self.baseline)
