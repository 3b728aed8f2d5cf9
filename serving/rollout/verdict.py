"""A verdict: what a check says about a candidate, with its evidence."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Outcome(StrEnum):
    """Outcome of a check. No data is never a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """There is not enough evidence yet."""


class Verdict(BaseModel):
    """The verdict of one check at one time.

    Attributes:
        check: name of the check.
        message: one sentence with the figures that decided.
        evidence: the figures, as JSON values.
        holds: a failure pauses the rollout for a person, and does not roll it back.
        time: ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    outcome: Outcome
    message: str
    evidence: dict[str, Any] = {}
    holds: bool = False
    time: str

    @property
    def holds_now(self) -> bool:
        """True if this verdict pauses a rollout."""
        return self.holds and self.outcome is Outcome.FAIL
