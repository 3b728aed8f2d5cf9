"""Counts of the two arms of a rollout: the stable version and the candidate."""

from __future__ import annotations

from collections.abc import Callable
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
        slow_trials: slow responses of the stable version and of the candidate among responses that are independent of
            each other: one of each version, drawn at random, in each look at the counts.
        tried: requests and slow responses up to the last such trial.
    """

    share: float
    arms: Arms
    slow_trials: tuple[int, int] = (0, 0)
    tried: Arms = field(default_factory=Arms)

    def with_new(self, new: Arms, draw: Callable[[], float]) -> Stage:
        """Return the stage with what was counted since the last look.

        One pause of a worker makes all responses slow that wait for it, so responses of one look depend on each other.
        The trial has one of each version, once both have answered since the last one.

        Args:
            draw: returns a random number from 0 to 1, 1 excluded.
        """
        arms = self.arms + new
        looked = arms - self.tried
        if not (looked.stable.requests and looked.candidate.requests):
            return Stage(self.share, arms, self.slow_trials, self.tried)
        slow = [draw() * counts.requests < counts.slow for counts in (looked.stable, looked.candidate)]
        trials = (self.slow_trials[0] + slow[0], self.slow_trials[1] + slow[1])
        tried = Arms(*(ArmCounts(counts.requests, slow=counts.slow) for counts in (arms.stable, arms.candidate)))
        return Stage(self.share, arms, trials, tried)
