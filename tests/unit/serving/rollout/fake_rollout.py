"""Rollouts on the fake server: the proxy's split and counts, the shadow, and the verdicts of the checks are fakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from serving.proxy.arm_counts import ArmCounts
from serving.proxy.traffic_split import Split
from serving.rollout import request_file, start
from serving.rollout.checks import (
    baking,
    canary_errors,
    canary_latency,
    golden,
    integrity,
    latency,
    referral_rate,
    shadow_answers,
    shadow_reasons,
)
from serving.rollout.controller import Controller
from serving.rollout.plan import Plan
from serving.rollout.record import Record, Rollout
from serving.rollout.request_file import Action, Request
from serving.rollout.resources import Resources
from serving.rollout.rollout_run import Surroundings
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict
from tests.unit.serving.rollout.fake_server import World

CHECKS: tuple[ModuleType, ...] = (
    integrity,
    golden,
    latency,
    shadow_answers,
    shadow_reasons,
    canary_errors,
    canary_latency,
    referral_rate,
    baking,
)
# Requests between two looks at the proxy's counts.
REQUESTS = 200


class FakeSplits:
    """The proxy's splits: they outlive a controller. Each look at the counts finds new requests."""

    def __init__(self) -> None:
        self.splits: dict[str, Split] = {}
        self.history: list[Split | None] = []
        self.requests = REQUESTS
        self.counted: dict[str, ArmCounts] = {}
        self.unreachable: Exception | None = None

    def get(self, model: str) -> Split | None:
        return self.splits.get(model)

    def set(self, model: str, split: Split) -> None:
        if self.unreachable is not None:
            raise self.unreachable
        self.splits[model] = split
        self.history.append(split)

    def restore(self, model: str, version: str) -> None:
        self.set(model, Split(version, 1.0))

    def clear(self, model: str) -> None:
        if self.unreachable is not None:
            raise self.unreachable
        self.splits.pop(model, None)
        self.history.append(None)

    def counts(self, model: str, version: str) -> ArmCounts:
        if self.unreachable is not None:
            raise self.unreachable
        split = self.splits.get(model)
        if split is not None:
            share = split.share if version == split.candidate else 1 - split.share
            new = round(self.requests * share)
            before = self.counted.get(version, ArmCounts())
            self.counted[version] = before + ArmCounts(requests=new, latencies={10_000: new})
        return self.counted.get(version, ArmCounts())


class FakeShadow:
    """A shadow that compares 100 pairs between two looks."""

    def __init__(self) -> None:
        self.running = False
        self.pairs = 0
        self.pairs_each = 100

    def start(self) -> None:
        self.running = True

    def summary(self) -> ShadowSummary:
        self.pairs += self.pairs_each if self.running else 0
        return ShadowSummary(pairs=self.pairs, images=self.pairs)

    def stop(self) -> None:
        self.running = False


class FakeGolden:
    """Golden images that are answered at once."""

    def __init__(self) -> None:
        self.sent = 0
        self.failure: Exception | None = None

    def warm_up(self, archive: Any, requests: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent += requests

    def latencies(self, archive: Any, versions: tuple[str, str]) -> tuple[list[float], list[float]]:
        return [0.01], [0.01]

    def check(self, archive: Any) -> int:
        return 10


class RolloutWorld(World):
    """The fake server with rollouts.

    Attributes:
        outcomes: outcome of a check by its name, where it is not PASS; the number of looks after which it applies.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.splits, self.shadow, self.golden_requests = FakeSplits(), FakeShadow(), FakeGolden()
        self.outcomes: dict[str, tuple[Outcome, int]] = {}
        self.looks: dict[str, int] = {}
        self.reports: list[str] = []
        self.log: list[str] = []
        self.proxy_identity = "1 100"

    @property
    def around(self) -> Surroundings:
        return Surroundings(
            versions=self.versions,
            registry=self.versions._registry,
            router=self.proxy,
            splits=self.splits,
            proxy=lambda: self.proxy_identity,
            golden=self.golden_requests,
            shadow=lambda record: self.shadow,
            resources=lambda model, version, archive: no_resources(),
            journal=self.journal,
            root=self.store,
            clock=self.clock,
            log=self.log.append,
        )

    def judge(self, name: str) -> Verdict:
        """Return the verdict of a check at its next look."""
        self.looks[name] = self.looks.get(name, 0) + 1
        outcome, after = self.outcomes.get(name, (Outcome.PASS, 0))
        applies = self.looks[name] > after
        return Verdict(
            check=name,
            outcome=outcome if applies else Outcome.PASS,
            message=f"look {self.looks[name]}",
            holds=name == "shadow_reasons",
            time=now(),
        )

    def begin(self, plan: Plan | None = None, version: str | None = "2.0") -> Record:
        """Start a rollout as the command does."""
        rollout = start.prepare(self.folder, self.around, "digits", version, plan or PLAN)
        return start.start(self.folder, self.around, rollout)

    def controller(self) -> Controller:
        """Return a new controller, as the supervisor starts it after another was killed."""
        return Controller(self.folder, self.around, lambda record: self.reports.append(record.id))

    def follow(self, record: Record) -> Rollout:
        """Run a rollout to its end."""
        self.controller().follow(record)
        return record.load()

    def ask(self, record: Record, action: Action) -> None:
        """Leave a request of a user."""
        request_file.write(record.folder, Request(action=action, actor="ann@lab"))

    def journal_steps(self, record: Record) -> list[str]:
        """Return the steps of a rollout in the journal."""
        return [entry["step"] for entry in self.journal.entries() if entry["run"] == record.id]


PLAN = Plan.model_validate({"canary": {"hold": 2, "min_requests": 10}, "bake": 2})


def no_resources() -> Resources:
    """Return resources, which the fake integrity check does not read."""
    return None  # type: ignore[return-value]


def replace_checks(monkeypatch: pytest.MonkeyPatch, world: Callable[[], RolloutWorld]) -> None:
    """Let the world decide all verdicts."""
    for check in CHECKS:
        name = check.__name__.rpartition(".")[2]
        monkeypatch.setattr(check, "judge", lambda *_, name=name, **__: world().judge(name))
