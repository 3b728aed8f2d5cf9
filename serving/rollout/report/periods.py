"""The phases of a rollout with their times, from the journal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report import words
from serving.rollout.report.evidence import Evidence
from serving.rollout.report.figures import Moment

PAUSED, RESUMED = "paused", "resumed"
# What happens while the state has a phase, in words.
WORK = {
    RolloutPhase.PLANNED: "check the archive",
    RolloutPhase.VERIFIED: "load the workers",
    RolloutPhase.REGISTERED: "warm up",
    RolloutPhase.WARM: "golden answers",
    RolloutPhase.GOLDEN: "start the shadow",
    RolloutPhase.SHADOW: "shadow",
    RolloutPhase.CANARY: "canary",
    RolloutPhase.PROMOTED: "promote",
    RolloutPhase.BAKING: "baking",
    RolloutPhase.DRAINING: "drain the old version",
    RolloutPhase.ROLLING_BACK: "roll back",
}
PREPARATION = (
    RolloutPhase.PLANNED,
    RolloutPhase.VERIFIED,
    RolloutPhase.REGISTERED,
    RolloutPhase.WARM,
    RolloutPhase.GOLDEN,
)


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a rollout spent in a phase, or in one step of the canary.

    Attributes:
        share: share of the candidate in it; None outside of the canary.
        paused: seconds of it in which the rollout was paused.
        end: its end, or the end of the record for the last one.
    """

    phase: RolloutPhase
    start: datetime.datetime
    end: datetime.datetime
    share: float | None = None
    paused: float = 0.0

    @property
    def name(self) -> str:
        """Return what happened in it."""
        work = WORK.get(self.phase, self.phase.value)
        return f"{work} {words.percent(self.share)}" if self.share is not None else work

    @property
    def seconds(self) -> float:
        """Return its length."""
        return (self.end - self.start).total_seconds()


def of(evidence: Evidence) -> list[Period]:
    """Return the periods, oldest first. Without a state there are none."""
    rollout = evidence.rollout
    if rollout is None or (start := words.parse_time(rollout.started)) is None:
        return []
    transitions = _from_journal(evidence) or _from_figures(evidence.moments)
    periods, phase, share = [], RolloutPhase.PLANNED, None
    end = end_of(evidence)
    for time, next_phase, next_share in [*transitions, (end, None, None)]:
        time = min(max(time, start), end)
        if time > start or next_phase is None:
            periods.append(Period(phase, start, time, share, _paused(evidence, start, time)))
        if next_phase is None or next_phase.is_final:
            break
        phase, share, start = next_phase, next_share, time
    return periods


def end_of(evidence: Evidence) -> datetime.datetime:
    """Return the end of a rollout that has ended; the time at which the record was read otherwise."""
    rollout = evidence.rollout
    if rollout is not None and rollout.phase.is_final:
        return words.parse_time(rollout.phase_since) or evidence.now
    # A clock that was set back must not hide what is recorded.
    return max([evidence.now, *(moment.time for moment in evidence.moments[-1:])])


Transition = tuple[datetime.datetime, RolloutPhase, float | None]


def _from_journal(evidence: Evidence) -> list[Transition]:
    transitions = []
    for entry in evidence.entries:
        if entry.get("run") != evidence.id:
            continue
        time, phase = words.parse_time(entry.get("time")), _phase(entry.get("step"))
        if time is not None and phase is not None:
            details = entry.get("evidence")
            share = details.get("share") if phase is RolloutPhase.CANARY and isinstance(details, dict) else None
            transitions.append((time, phase, float(share) if isinstance(share, (int, float)) else None))
    return transitions


def _from_figures(moments: Sequence[Moment]) -> list[Transition]:
    transitions: list[Transition] = []
    for moment in moments:
        phase = _phase(moment.phase)
        share = moment.share if phase is RolloutPhase.CANARY else None
        if phase is not None and (not transitions or transitions[-1][1:] != (phase, share)):
            transitions.append((moment.time, phase, share))
    return transitions


def pauses(evidence: Evidence) -> list[tuple[datetime.datetime, datetime.datetime]]:
    """Return the times in which the rollout was paused. A pause that lasts ends where the record ends."""
    result, since = [], None
    for time, begins in [*_changes(evidence), (end_of(evidence), False)]:
        if begins and since is None:
            since = time
        elif not begins and since is not None:
            result.append((since, max(since, time)))
            since = None
    return result


def _paused(evidence: Evidence, start: datetime.datetime, end: datetime.datetime) -> float:
    """Return the seconds between two times in which the rollout was paused."""
    overlaps = ((min(end, last) - max(start, first)).total_seconds() for first, last in pauses(evidence))
    return sum(max(0.0, seconds) for seconds in overlaps)


def _changes(evidence: Evidence) -> list[tuple[datetime.datetime, bool]]:
    """Return the times at which a pause began (True) or ended (False)."""
    times = []
    for entry in evidence.entries:
        time = words.parse_time(entry.get("time"))
        if entry.get("run") == evidence.id and time is not None:
            step = entry.get("step")
            # A promotion or an abortion ends a pause too.
            if step in (PAUSED, RESUMED) or _phase(step) is not None:
                times.append((time, step == PAUSED))
    return times


def _phase(name: Any) -> RolloutPhase | None:
    try:
        return RolloutPhase(name)
    except ValueError:
        return None


def step_text(rollout: Rollout) -> str:
    """Return which step of the canary runs: `step 2 of 4`."""
    return f"step {rollout.step + 1} of {len(rollout.plan.canary.shares)}"
