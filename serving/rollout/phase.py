"""Phases of a rollout, in order."""

from __future__ import annotations

from enum import StrEnum


class RolloutPhase(StrEnum):
    """Phase of a rollout: the last step that is complete, or the one that runs now.

    PLANNED to DONE follow each other. SHADOW, CANARY and BAKING last; the others are steps. From any of them a rollout
    can be paused, and can roll back.
    """

    PLANNED = "planned"
    VERIFIED = "verified"
    REGISTERED = "registered"
    WARM = "warm"
    GOLDEN = "golden"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    BAKING = "baking"
    DRAINING = "draining"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    NEEDS_HUMAN = "needs_human"

    @property
    def is_final(self) -> bool:
        """True if the rollout has ended."""
        return self in (RolloutPhase.DONE, RolloutPhase.ROLLED_BACK, RolloutPhase.NEEDS_HUMAN)

    @property
    def is_ending(self) -> bool:
        """True if the end of the rollout is decided: it cannot be paused or aborted any more."""
        return self in (RolloutPhase.ROLLING_BACK, RolloutPhase.DRAINING)

    @property
    def allows_promotion(self) -> bool:
        """True if a user may promote the candidate: its golden answers are right, and it is not the default yet."""
        return self in (RolloutPhase.GOLDEN, RolloutPhase.SHADOW, RolloutPhase.CANARY)
