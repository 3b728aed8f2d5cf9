"""Rows of the report's tables: checks, steps and journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Rollout
from serving.rollout.report import check_names, figures, words
from serving.rollout.report.charts.timeline import STATE_WORDS, SYMBOLS
from serving.rollout.report.evidence import Evidence
from serving.rollout.report.figures import ArmFigures, Moment
from serving.rollout.report.periods import PREPARATION, Period

MAX_ENTRIES = 500
COUNTED = (RolloutPhase.SHADOW, RolloutPhase.CANARY, RolloutPhase.BAKING)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A row of the table of checks."""

    title: str
    question: str
    symbol: str
    state: str
    outcome: str
    message: str
    time: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class StepRow:
    """A row of the table of steps. `arms` are the figures of the versions that clients got answers from."""

    name: str
    start: str
    duration: str
    paused: str
    arms: list[tuple[str, ArmFigures]]


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A row of the journal. `own` entries are the rollout's, the others those of commands that ran meanwhile."""

    time: str
    command: str
    step: str
    details: str
    actor: str
    own: bool


def checks(rollout: Rollout) -> list[CheckRow]:
    """Return a row for each check that ran, or should run."""
    order = list(check_names.CHECKS)
    names = {*check_names.expected(rollout.plan), *rollout.verdicts}
    rows = []
    for name in sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)):
        texts, verdict = check_names.name_of(name), rollout.verdicts.get(name)
        question = texts.question.format(stable=f"version {rollout.stable}", candidate=f"version {rollout.candidate}")
        if verdict is None:
            state = "did not run" if rollout.phase.is_final or rollout.reason else "not yet"
            rows.append(CheckRow(texts.title, question, words.DASH, state, "missing", "", "", accepted=False))
            continue
        time = words.clock(words.parse_time(verdict.time))
        rows.append(
            CheckRow(
                texts.title,
                question,
                SYMBOLS[verdict.outcome],
                STATE_WORDS[verdict.outcome],
                verdict.outcome.value,
                verdict.message,
                time,
                accepted=name in getattr(rollout, "accepted", ()),
            )
        )
    return rows


def steps(phases: Sequence[Period], moments: Sequence[Moment]) -> list[StepRow]:
    """Return a row for each period. Those before the shadow are one row, since no client notices them."""
    counted = {_key(moment.phase, moment.share): moment for moment in figures.stages(moments)}
    rows = []
    preparation = [period for period in phases if period.phase in PREPARATION]
    if preparation:
        seconds = sum(period.seconds for period in preparation)
        rows.append(StepRow("preparation", words.clock(preparation[0].start), words.duration(seconds), "", []))
    for period in phases:
        if period.phase in PREPARATION:
            continue
        moment = counted.get(_key(period.phase.value, period.share)) if period.phase in COUNTED else None
        arms = []
        if moment is not None and moment.share < 1:
            arms.append(("stable", moment.stable))
        if moment is not None and moment.share > 0:
            arms.append(("candidate", moment.candidate))
        paused = words.duration(period.paused) if period.paused >= 1 else ""
        rows.append(StepRow(period.name, words.clock(period.start), words.duration(period.seconds), paused, arms))
    return rows


def journal(evidence: Evidence) -> tuple[list[JournalRow], int]:
    """Return the last MAX_ENTRIES entries of the journal, and the number of earlier ones."""
    rows = [
        JournalRow(
            words.clock(words.parse_time(entry.get("time"))),
            " ".join(str(entry[key]) for key in ("command", "version") if entry.get(key)),
            str(entry.get("step", "")).replace("_", " "),
            _details(entry.get("evidence")),
            str(entry.get("actor", "")),
            entry.get("run") == evidence.id,
        )
        for entry in evidence.entries
    ]
    return rows[-MAX_ENTRIES:], max(0, len(rows) - MAX_ENTRIES)


def _key(phase: str, share: float | None) -> tuple[str, float | None]:
    return phase, share if phase == RolloutPhase.CANARY.value else None


def _details(details: Any) -> str:
    """Return the evidence of an entry as text."""
    if not isinstance(details, dict):
        return ""
    return ", ".join(f"{name.replace('_', ' ')}: {_value(name, value)}" for name, value in details.items())


def _value(name: str, value: Any) -> str:
    if name == "share" and isinstance(value, (int, float)):
        return words.percent(value)
    if isinstance(value, str):
        return value[:12] + "\N{HORIZONTAL ELLIPSIS}" if name == "sha256" else value
    if isinstance(value, list):
        return words.enumeration([str(item) for item in value]) or "none"
    return json.dumps(value, ensure_ascii=False)
