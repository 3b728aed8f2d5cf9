"""A rollout as plain lines, for pipes, logs and terminals without cursor control."""

from __future__ import annotations

from scripts.rollout.snapshot import Snapshot
from serving.rollout.report import words
from serving.rollout.report.figures import ArmFigures
from serving.rollout.report.rows import checks


def lines(snapshot: Snapshot) -> str:
    """Return the view of a rollout as text."""
    rollout, headline = snapshot.rollout, snapshot.headline
    result = [
        f"{rollout.model} {rollout.stable} -> {rollout.candidate}: {headline.status.lower()} ({rollout.id})",
        headline.sentence,
        *([headline.evidence] if headline.evidence else []),
        headline.traffic,
        f"phase: {rollout.phase.value.replace('_', ' ')}, for {words.duration(snapshot.in_phase)}"
        if not rollout.phase.is_final
        else f"it took {words.duration(snapshot.elapsed)}",
        f"share of {rollout.candidate}: {words.percent(rollout.share)}",
    ]
    result += [f"{goal.name}: {goal.text}" for goal in snapshot.remaining.goals]
    if snapshot.remaining.text:
        result.append(f"this phase: {snapshot.remaining.text}")
    if snapshot.moment is not None:
        result += [
            _arm(rollout.stable, snapshot.moment.stable),
            _arm(rollout.candidate, snapshot.moment.candidate),
        ]
    result += [
        f"check {row.title.lower()}: {row.state}{': ' + row.message if row.message else ''}" for row in checks(rollout)
    ]
    if headline.advice:
        result.append(headline.advice.replace("`", ""))
    if snapshot.report is not None:
        result.append(f"report: {snapshot.report}")
    return "\n".join(result).replace(words.SPACE, " ")


def change(snapshot: Snapshot) -> str:
    """Return one line on the present phase. It differs from the line before when something happened."""
    rollout = snapshot.rollout
    text = f"{rollout.phase.value.replace('_', ' ')}, share {words.percent(rollout.share)}"
    if rollout.paused is not None:
        text += f", paused: {rollout.paused}"
    if rollout.reason is not None:
        text += f": {rollout.reason}"
    return text.replace(words.SPACE, " ")


def _arm(version: str, figures: ArmFigures) -> str:
    """Return the figures of one version in this step."""
    return (
        f"{version} in this step: {words.number(figures.requests, 'request')}, "
        f"errors {words.rate(figures.errors, figures.requests)}, slow {words.rate(figures.slow, figures.requests)}, "
        f"referred {words.rate(figures.referred, figures.requests)}, p50 {words.latency(figures.p50)}, "
        f"p95 {words.latency(figures.p95)}, p99 {words.latency(figures.p99)}"
    )
