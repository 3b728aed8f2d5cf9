"""The rest of a phase: how much of it is done, and how long it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report import words
from serving.rollout.report.figures import ArmFigures
from serving.rollout.shadow.summary import ShadowSummary


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that a phase waits for.

    Attributes:
        name: such as `requests`.
        share: share of it that is done, from 0 to 1.
        text: the same in numbers, such as `43 of 100`.
    """

    name: str
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """The conditions that the current phase waits for.

    Attributes:
        goals: all of them must be complete.
        seconds: estimate until they are; None if it cannot be known.
        limit: seconds until the time limit of the phase; None without one.
    """

    goals: list[Goal]
    seconds: float | None = None
    limit: float | None = None

    @property
    def text(self) -> str:
        """Return the time left in words; empty if nothing is known."""
        parts = []
        if self.goals and all(goal.share >= 1 for goal in self.goals):
            parts.append("complete; the verdicts decide")
        elif self.seconds is not None:
            parts.append(f"about {words.duration(self.seconds)} left")
        if self.limit is not None:
            parts.append(f"time limit in {words.duration(self.limit)}")
        return ", ".join(parts)


def remaining(
    rollout: Rollout,
    elapsed: float,
    candidate: ArmFigures,
    summary: ShadowSummary | None,
    rate: float | None,
) -> Remaining:
    """Return what the current phase waits for.

    Args:
        rollout: the state.
        elapsed: seconds since the phase began.
        candidate: figures of the candidate in this stage.
        summary: the comparison so far.
        rate: the candidate's requests per second in this stage; None if it is not known.
    """
    plan = rollout.plan
    if rollout.paused is not None:
        return Remaining([])
    if rollout.phase is RolloutPhase.SHADOW:
        return _shadow(rollout, elapsed, summary or ShadowSummary())
    if rollout.phase is RolloutPhase.CANARY:
        hold, min_requests = plan.canary.hold, plan.canary.min_requests
        goals = [
            _goal("time", elapsed, hold, words.duration),
            _goal("requests", candidate.requests, min_requests, _count),
        ]
        seconds: float | None = max(0.0, hold - elapsed)
        if candidate.requests < min_requests:
            seconds = max(hold - elapsed, (min_requests - candidate.requests) / rate) if rate else None
        limit = max(plan.canary.timeout, hold) - elapsed
        return Remaining(goals, seconds, max(0.0, limit))
    if rollout.phase is RolloutPhase.BAKING:
        return Remaining([_goal("time", elapsed, plan.bake, words.duration)], max(0.0, plan.bake - elapsed))
    return Remaining([])


def _shadow(rollout: Rollout, elapsed: float, summary: ShadowSummary) -> Remaining:
    shadow = rollout.plan.shadow
    counts = (
        ("self-test", summary.self_pairs, shadow.self_pairs),
        ("answers", summary.pairs, shadow.pairs),
        ("maps", len(summary.correlations), shadow.explained),
    )
    goals = [_goal(name, done, needed, _count) for name, done, needed in counts if needed]
    all_done = sum(done for _, done, _ in counts)
    missing = sum(max(0, needed - done) for _, done, needed in counts)
    seconds = missing * elapsed / all_done if all_done and elapsed else None
    return Remaining(goals, seconds, max(0.0, shadow.timeout - elapsed))


def _goal(name: str, done: float, needed: float, text: Callable[[float], str]) -> Goal:
    return Goal(name, min(1.0, done / needed) if needed else 1.0, f"{text(done)} of {text(needed)}")


def _count(value: float) -> str:
    return f"{value:,.0f}"
