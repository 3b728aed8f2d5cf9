"""A split with a network's outputs: what uncertainty is fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from handlers.engines import Outputs


@dataclass(frozen=True, slots=True)
class Scored:
    """A network's outputs for a split, with pixel statistics, and the labels: int64 (N,), indices of classes."""

    outputs: Outputs
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class ScoredBatterySet:
    """A network's outputs for one set of the battery (training/battery).

    Attributes:
        outputs: with pixel statistics.
        labels: int64 (N,); None if no class is right.
    """

    name: str
    outputs: Outputs
    labels: torch.Tensor | None

    @property
    def to_refer(self) -> torch.Tensor:
        """Return which images a person should look at, bool (N,): all that the network does not predict correctly."""
        answered = self.outputs.logits.argmax(dim=1)
        return torch.ones_like(answered, dtype=torch.bool) if self.labels is None else answered != self.labels
