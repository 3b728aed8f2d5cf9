"""Metrics of the last rollout of each model, from its record on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric

from serving.exporter import families
from serving.exporter.definitions import ROLLOUT_PAUSED, ROLLOUT_PHASE, ROLLOUT_SHARE, ROLLOUT_VERDICT
from serving.rollout import record as records
from serving.rollout.phase import RolloutPhase
from serving.rollout.verdict import Outcome

Values = dict[tuple[str, ...], float]


def collect(folder: Path) -> Iterator[Metric]:
    """Return the metric families of rollouts. A rollout whose state is damaged is left out.

    Args:
        folder: the server's folder.
    """
    share: Values = {}
    paused: Values = {}
    phases: Values = {}
    verdicts: Values = {}
    last = {rollout.model: rollout for _, rollout in records.readable(folder)}
    for rollout in last.values():
        labels = (rollout.model, rollout.candidate)
        share[labels] = rollout.share
        paused[labels] = float(rollout.paused is not None)
        for phase in RolloutPhase:
            phases[(*labels, phase.value)] = float(phase is rollout.phase)
        for name, verdict in rollout.verdicts.items():
            for outcome in Outcome:
                verdicts[(*labels, name, outcome.value)] = float(outcome is verdict.outcome)
    yield families.scalars(ROLLOUT_SHARE, share)
    yield families.scalars(ROLLOUT_PAUSED, paused)
    yield families.scalars(ROLLOUT_PHASE, phases)
    yield families.scalars(ROLLOUT_VERDICT, verdicts)
