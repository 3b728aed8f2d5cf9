"""The scenarios: what a user or a check does to a rollout while traffic goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rollouts.watch import Watch
from serving.rollout.phase import RolloutPhase
from tests.support import rollout_commands as commands
from tests.support.server import Server
from tests.support.traffic import Answer

PAUSE_SECONDS = 3.0
# Without checks of the phases before, the canary must find the fault.
CANARY_ONLY = {"warm_up": {"max_latency_ratio": 1000}, "shadow": {"pairs": 0}}
# As fast as a rollout can be: no shadow, no canary, no baking.
WITHOUT_HOLDS = {"shadow": {"pairs": 0}, "canary": {"shares": []}, "bake": 0}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One rollout.

    Attributes:
        version: of the candidate.
        changes: changes of the plan tests.support.rollout_commands.QUICK.
        steer: does what a user does, from the start of the rollout to its end.
        end: the phase in which it must end.
    """

    name: str
    version: str
    changes: Mapping[str, Any]
    steer: Callable[[Server, Any], object]
    end: RolloutPhase


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario that was run, from `start` to `end` in seconds since the epoch."""

    scenario: Scenario
    watch: Watch
    start: float
    end: float

    def answers(self, answers: Sequence[Answer]) -> list[Answer]:
        """Return the responses to requests of this time."""
        return [answer for answer in answers if self.start <= answer.due < self.end]

    def last_answer(self, answers: Sequence[Answer]) -> float | None:
        """Return the seconds from the alarm to the candidate's last response; None without an alarm."""
        received = [answer.received for answer in self.answers(answers) if answer.version == self.scenario.version]
        return None if self.watch.alarm is None or not received else max(received) - self.watch.alarm

    def load_seconds(self) -> float:
        """Return the time that the candidate's workers took to load."""
        return self.watch.reached[RolloutPhase.REGISTERED] - self.watch.reached[RolloutPhase.VERIFIED]

    def full_share(self, answers: Sequence[Answer]) -> float:
        """Return the seconds from the start to the last response of the version before."""
        others = [answer.received for answer in self.answers(answers) if answer.version != self.scenario.version]
        return max(others, default=self.watch.started) - self.watch.started


def run(server: Server, scenario: Scenario) -> Run:
    """Run a scenario to its end.

    Raises:
        ValueError: it ended in another phase.
    """
    watch, start = Watch(server.instance.folder), time.time()
    watch.start()
    record = commands.start(server, scenario.version, **scenario.changes)
    scenario.steer(server, record)
    rollout = commands.await_state(record, lambda rollout: rollout.phase.is_final, 300)
    watch.join(10)
    if rollout.phase is not scenario.end:
        raise ValueError(
            f"{scenario.name}: ended as {rollout.phase.value} ({rollout.reason}), not {scenario.end.value}"
        )
    time.sleep(1)
    return Run(scenario, watch, start, time.time())


def pause_and_abort(server: Server, record: Any) -> None:
    """Pause at the largest share, resume, and abort."""
    commands.await_state(record, lambda rollout: rollout.phase is RolloutPhase.CANARY and rollout.share == 0.5, 300)
    commands.command(server, "pause")
    time.sleep(PAUSE_SECONDS)
    commands.command(server, "resume")
    commands.command(server, "abort")


def wait(server: Server, record: Any) -> None:
    """Leave the rollout alone."""


SCENARIOS = (
    Scenario(
        "pause, resume, abort",
        "2.0",
        {"shadow": {"pairs": 0}, "canary": {"hold": "30s"}, "bake": 0},
        pause_and_abort,
        RolloutPhase.ROLLED_BACK,
    ),
    Scenario("rollback of a slow version", "1.2", CANARY_ONLY, wait, RolloutPhase.ROLLED_BACK),
    Scenario("rollback of a version that fails for one class", "1.3", CANARY_ONLY, wait, RolloutPhase.ROLLED_BACK),
    Scenario("shadow, canary, promotion", "2.0", {}, wait, RolloutPhase.DONE),
    Scenario("promotion without holds", "2.1", WITHOUT_HOLDS, wait, RolloutPhase.DONE),
)
