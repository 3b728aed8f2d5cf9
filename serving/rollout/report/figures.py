"""The figures of a rollout over time: what figures.jsonl has, checked and summed."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.rollout.phase import RolloutPhase
from serving.rollout.report import words

COUNTS = ("requests", "errors", "slow", "referred")
QUANTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """Figures of one version in one stage.

    Attributes:
        requests, errors, slow, referred: counts as in serving/proxy/arm_counts.py.
        p50, p95, p99: quantiles of the latency in seconds; None without responses.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    referred: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    def __add__(self, other: ArmFigures) -> ArmFigures:
        """Return the sum of the counts of two stages. Quantiles cannot be added: the result has none."""
        return ArmFigures(*(getattr(self, name) + getattr(other, name) for name in COUNTS))


@dataclass(frozen=True, slots=True)
class Moment:
    """The figures of one moment: counts since the stage began, that is since the share last changed."""

    time: datetime.datetime
    phase: str
    step: int
    share: float
    stable: ArmFigures = field(default_factory=ArmFigures)
    candidate: ArmFigures = field(default_factory=ArmFigures)


def parse(entry: Mapping[str, Any]) -> Moment | None:
    """Return an entry of figures.jsonl; None if it has no time, or a value of another type."""
    moment = words.parse_time(entry.get("time"))
    share = _number(entry.get("share"))
    if moment is None or share is None:
        return None
    step = entry.get("step")
    return Moment(
        moment,
        str(entry.get("phase", "")),
        step if isinstance(step, int) else 0,
        share,
        _arm(entry.get("stable")),
        _arm(entry.get("candidate")),
    )


def parse_all(entries: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """Return the readable entries, in order of time."""
    moments = (parse(entry) for entry in entries)
    return sorted((moment for moment in moments if moment is not None), key=lambda moment: moment.time)


def stage_of(moment: Moment) -> tuple[str, int, float]:
    """Return what the moments of one stage have in common."""
    return moment.phase, moment.step, moment.share


def stages(moments: Sequence[Moment]) -> list[Moment]:
    """Return the last moment of each stage. A stage ends where phase, step or share changes."""
    last: list[Moment] = []
    for moment in moments:
        if last and stage_of(last[-1]) == stage_of(moment):
            last[-1] = moment
        else:
            last.append(moment)
    return last


def total(moments: Sequence[Moment], *phases: RolloutPhase) -> tuple[ArmFigures, ArmFigures]:
    """Return the counts of the stable version and the candidate over all stages of these phases."""
    stable, candidate = ArmFigures(), ArmFigures()
    for stage in stages(moments):
        if stage.phase in phases:
            stable, candidate = stable + stage.stable, candidate + stage.candidate
    return stable, candidate


def _arm(value: object) -> ArmFigures:
    if not isinstance(value, Mapping):
        return ArmFigures()
    counts = (int(_number(value.get(name)) or 0) for name in COUNTS)
    quantiles = (_number(value.get(name)) for name in QUANTILES)
    return ArmFigures(*counts, *quantiles)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return max(0.0, float(value))
