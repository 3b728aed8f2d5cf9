"""Counts of the two arms of a rollout: the stable version and the candidate."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.proxy.arm_counts import ArmCounts


@dataclass(frozen=True, slots=True)
class Arms:
    """Both arms in one period."""

    stable: ArmCounts = field(default_factory=ArmCounts)
    candidate: ArmCounts = field(default_factory=ArmCounts)

    def __sub__(self, earlier: Arms) -> Arms:
        """Return what was counted since `earlier`."""
        return Arms(self.stable - earlier.stable, self.candidate - earlier.candidate)

    def __add__(self, other: Arms) -> Arms:
        """Return the sum of two periods."""
        return Arms(self.stable + other.stable, self.candidate + other.candidate)


@dataclass(frozen=True, slots=True)
class Stage:
    """One period with a constant share.

    Attributes:
        share: probability that the proxy assigned a request to the candidate.
    """

    share: float
    arms: Arms
