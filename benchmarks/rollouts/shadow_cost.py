"""Latency of predictions with and without a shadow, in turn: one rollout is paused and resumed.

A paused shadow copies nothing. Both versions are loaded all the time, so only the shadow's work makes a difference.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.rollout.phase import RolloutPhase
from tests.support import rollout_commands as commands
from tests.support.server import Server
from tests.support.traffic import Answer

ROUNDS = 8
ROUND_SECONDS = 20.0
# The command that pauses or resumes takes processor time, and so does a replayer that starts.
SETTLE_SECONDS = 4.0
# The usual share of copies, and more pairs than there is time for.
PLAN: dict[str, Any] = {"shadow": {"share": "20%", "pairs": 100_000, "self_pairs": 30, "explained": 30}}


@dataclass(frozen=True, slots=True)
class Period:
    """A time with or without a shadow, in seconds since the epoch."""

    with_shadow: bool
    start: float
    end: float

    def milliseconds(self, answers: Sequence[Answer], quantile: float) -> float:
        """Return a quantile of the latencies of the requests of this time."""
        seconds = [answer.seconds for answer in answers if self.start <= answer.due < self.end]
        return 1000 * float(np.quantile(seconds, quantile))


def measure(server: Server, version: str) -> list[Period]:
    """Start a rollout, and pause and resume its shadow. The load must go on meanwhile. The rollout is aborted."""
    record = commands.start(server, version, **PLAN)
    commands.await_state(record, lambda rollout: rollout.phase is RolloutPhase.SHADOW, 300)
    periods: list[Period] = []
    for number in range(2 * ROUNDS):
        # with, without, without, with: a machine that becomes slower favors neither
        with_shadow = number % 4 in (0, 3)
        if number and with_shadow is not periods[-1].with_shadow:
            commands.command(server, "resume" if with_shadow else "pause")
        time.sleep(SETTLE_SECONDS)
        start = time.time()
        time.sleep(ROUND_SECONDS)
        periods.append(Period(with_shadow, start, time.time()))
    commands.command(server, "abort")
    commands.await_state(record, lambda rollout: rollout.phase.is_final, 300)
    return periods


def rows(periods: Sequence[Period], answers: Sequence[Answer]) -> list[list[str]]:
    """Return the rows of a table: medians over the periods of each kind, and of the ratios of neighbors."""
    result = []
    for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        without, with_shadow = (
            [period.milliseconds(answers, quantile) for period in periods if period.with_shadow is kind]
            for kind in (False, True)
        )
        ratios = np.divide(with_shadow, without)
        low, high = np.quantile(ratios, (0.25, 0.75))
        result.append(
            [
                name,
                f"{np.median(without):.1f} ms",
                f"{np.median(with_shadow):.1f} ms",
                f"{np.median(ratios):.2f} ({low:.2f} to {high:.2f})",
            ]
        )
    return result
