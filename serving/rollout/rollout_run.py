"""One rollout as the controller runs it: its state, its counts and verdicts, and what it may change.

Every transition is one line of the journal first, and then the state on disk. A kill between the two repeats the
transition: all of them are idempotent.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import ServingError
from serving.proxy.arm_counts import ArmCounts
from serving.proxy.traffic_split import Split
from serving.rollout import progress
from serving.rollout.arms import Arms
from serving.rollout.interfaces import Clock, Log, Registry, Router
from serving.rollout.journal import Journal
from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Record
from serving.rollout.resources import Resources
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict
from serving.rollout.versions import Versions

# Figures are recorded once in so many seconds, or once in this share of the phase's age.
FIGURES_SECONDS = 1.0
FIGURES_SHARE = 1 / 300


class Splits(Protocol):
    """The split of traffic (serving/proxy/traffic_split.py). Methods raise an Unreachable without the proxy."""

    def get(self, model: str) -> Split | None:
        """Return the split of a model."""

    def set(self, model: str, split: Split) -> None:
        """Change a split in one commit."""

    def restore(self, model: str, version: str) -> None:
        """Send all requests to one version at once, even if the disk is full."""

    def clear(self, model: str) -> None:
        """Send all requests to the default version."""

    def counts(self, model: str, version: str) -> ArmCounts:
        """Return the counts of a version."""


class ShadowRunner(Protocol):
    """The shadow of one rollout (serving/rollout/shadow/runner.py). Its methods can be repeated."""

    def start(self) -> None:
        """Let workers copy requests, and compare the answers."""

    def summary(self) -> ShadowSummary:
        """Return the comparison so far."""

    def stop(self) -> None:
        """Stop copying and comparing."""


class GoldenRequests(Protocol):
    """Golden images as requests to a version by its name (serving/rollout/golden_requests.py)."""

    def warm_up(self, archive: Archive, requests: int) -> None:
        """Send so many predictions to a version."""

    def latencies(self, archive: Archive, versions: tuple[str, str]) -> tuple[list[float], list[float]]:
        """Return the latencies of two versions in seconds, measured in turn."""

    def check(self, archive: Archive) -> int:
        """Compare a version with its golden answers, and return their number."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The surroundings that the rollouts of one server read and change.

    Attributes:
        proxy: returns the identity of the running proxy, whose counts start at 0.
        resources: measures what both versions need, and what there is.
        root: the model store.
    """

    versions: Versions
    registry: Registry
    router: Router
    splits: Splits
    proxy: Callable[[], str]
    golden: GoldenRequests
    shadow: Callable[[Record], ShadowRunner]
    resources: Callable[[str, str, Archive], Resources]
    journal: Journal
    root: Path
    clock: Clock
    log: Log


class RolloutRun:
    """One active rollout. Its methods are the only writers of its record."""

    def __init__(self, record: Record, around: Surroundings) -> None:
        self.record = record
        self.around = around
        self.rollout = record.load()
        self.progress = progress.load(record.folder)
        self.shadow = around.shadow(record)
        self._journal = around.journal.begin("rollout", self.rollout.model, self.rollout.candidate, run=self.rollout.id)
        since = datetime.datetime.fromisoformat(self.rollout.phase_since)
        age = (datetime.datetime.now(datetime.UTC) - since).total_seconds()
        self._phase_start = around.clock.monotonic() - max(0.0, age)
        self._recorded = float("-inf")

    @property
    def archive(self) -> Archive:
        """Return the archive of the candidate, checked against its digest.

        Raises:
            ArchiveError: it is missing, damaged or was replaced.
        """
        model, version = self.rollout.model, self.rollout.candidate
        return store.checked(Archive(store.path_of(model, version, self.around.root), model, version))

    @property
    def elapsed(self) -> float:
        """Return the seconds since this phase began, or since it was resumed."""
        return self.around.clock.monotonic() - self._phase_start

    # ---- transitions

    def enter(self, phase: RolloutPhase, **evidence: Any) -> None:
        """Record that a phase begins, or that its step is complete."""
        self._enter(phase, self.rollout.step, evidence)

    def enter_canary(self, step: int) -> None:
        """Record that a canary step begins. The split follows, also after a kill in between."""
        self._enter(RolloutPhase.CANARY, step, {"share": self.rollout.plan.canary.shares[step]})

    def _enter(self, phase: RolloutPhase, step: int, evidence: dict[str, Any]) -> None:
        self._journal.write(phase.value, **evidence)
        self.rollout.phase, self.rollout.step = phase, step
        self.rollout.promoted |= phase is RolloutPhase.PROMOTED
        self._restart_clock()
        self.rollout.paused = None
        self.save()
        self.around.log(f"{self.rollout.id}: {phase.value}" + (f" {evidence}" if evidence else ""))

    def pause(self, reason: str) -> None:
        """Stay in this phase until a user resumes. Failures are still watched."""
        if self.rollout.paused is None:
            self._journal.write("paused", reason=reason, share=self.rollout.share)
            self.rollout.paused = reason
            self.save()

    def resume(self, actor: str) -> None:
        """Go on, with a new time limit. The user accepts the verdicts that paused the rollout."""
        if self.rollout.paused is None:
            return
        held = [verdict.check for verdict in self.rollout.verdicts.values() if verdict.holds_now]
        self._journal.write("resumed", by=actor, accepted=held)
        self.rollout.accepted = sorted({*self.rollout.accepted, *held})
        self.rollout.paused = None
        self._restart_clock()
        self.save()

    def roll_back(self, reason: str) -> None:
        """Send all requests to the stable version at once, and begin to roll back."""
        self._restore_traffic()
        self.rollout.reason = reason
        self.enter(RolloutPhase.ROLLING_BACK, reason=reason)

    def _restore_traffic(self) -> None:
        """Send all requests to the stable version, if that works: the phase of the rollback tries again."""
        rollout = self.rollout
        with suppress(ServingError, OSError):
            if self.around.router.default(rollout.model) in (rollout.stable, rollout.candidate):
                self.around.splits.restore(rollout.model, rollout.stable)

    def end(self, phase: RolloutPhase, **evidence: Any) -> None:
        """End the rollout."""
        self.rollout.share = 1.0 if phase is RolloutPhase.DONE else 0.0
        self.enter(phase, **evidence)

    def _restart_clock(self) -> None:
        self.rollout.phase_since = now()
        self._phase_start = self.around.clock.monotonic()

    def save(self) -> None:
        """Write state and counts."""
        self.record.save(self.rollout)
        progress.save(self.record.folder, self.progress)

    # ---- traffic

    def split(self, share: float) -> None:
        """Let the candidate have a share of the requests, and count both versions."""
        rollout = self.rollout
        split = Split(rollout.candidate, share, rollout.plan.canary.sticky, self.progress.slow_seconds)
        self._set_split(split, share)

    def count_alone(self) -> None:
        """Count the candidate, which is the default now. The old version gets no share."""
        limit = self.progress.slow_seconds
        self._set_split(Split(self.rollout.stable, 0.0, self.rollout.plan.canary.sticky, limit), 1.0)

    def _set_split(self, split: Split, share: float) -> None:
        self.count()  # what was counted until now belongs to the share until now
        if self.around.splits.get(self.rollout.model) is None:
            self.progress.start_from(self.around.proxy(), self._counts())
        self.around.splits.set(self.rollout.model, split)
        self.progress.begin(share)
        self.rollout.share = share
        self.save()

    def count(self) -> None:
        """Read the proxy's counts into the current stage."""
        self.progress.count(self.around.proxy(), self._counts())

    def _counts(self) -> Arms:
        rollout, splits = self.rollout, self.around.splits
        return Arms(splits.counts(rollout.model, rollout.stable), splits.counts(rollout.model, rollout.candidate))

    # ---- verdicts

    def judge(self, *verdicts: Verdict) -> bool:
        """Record verdicts, and act on failures: roll back, or pause. Return whether the rollout goes on."""
        failed = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
        if any(not verdict.holds for verdict in failed):
            self._restore_traffic()  # before anything is written: the disk may be full
        for verdict in verdicts:
            before = self.rollout.verdicts.get(verdict.check)
            if before is None or before.outcome is not verdict.outcome:
                self.record.add_verdict(verdict)
            self.rollout.verdicts = {**self.rollout.verdicts, verdict.check: verdict}
        for verdict in failed:
            if not verdict.holds:
                self.roll_back(f"{verdict.check}: {verdict.message}")
                return False
        for verdict in failed:
            if verdict.check not in self.rollout.accepted:
                self.pause(f"{verdict.check}: {verdict.message}")
                return False
        return True

    def passed(self, *names: str) -> bool:
        """Return whether each of these checks passed, or was accepted by a user."""
        verdicts, accepted = self.rollout.verdicts, self.rollout.accepted
        return all(name in accepted or (name in verdicts and verdicts[name].outcome is Outcome.PASS) for name in names)

    def record_figures(self) -> None:
        """Append the counts of this moment, for the report and the live view: less often in a long phase."""
        if self.around.clock.monotonic() - self._recorded < max(FIGURES_SECONDS, self.elapsed * FIGURES_SHARE):
            return
        self._recorded = self.around.clock.monotonic()
        arms = self.progress.current
        self.record.add_figures(
            phase=self.rollout.phase.value,
            step=self.rollout.step,
            share=self.rollout.share,
            stable=figures(arms.stable),
            candidate=figures(arms.candidate),
        )
        self.save()


def figures(counts: ArmCounts) -> dict[str, Any]:
    """Return the counts of a version for JSON: with quantiles in seconds instead of all latencies."""
    values = asdict(counts)
    del values["latencies"]
    return values | {name: counts.quantile(share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
