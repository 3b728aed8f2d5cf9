"""report.html: one page that needs no other file and no script, to read, to print, to keep."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving.rollout import progress
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.record import REPORT, Record, Rollout
from serving.rollout.report import agreement, figures, periods, pictures, rows, words
from serving.rollout.report.charts.correlations import histogram
from serving.rollout.report.charts.latencies import latencies
from serving.rollout.report.charts.timeline import timeline
from serving.rollout.report.evidence import Evidence, collect
from serving.rollout.report.headline import headline, port_of
from serving.runtime import atomic_files

FOLDER = Path(__file__).parent
TEMPLATE = "page.html.jinja"


def write(record: Record, entries: Sequence[dict[str, Any]]) -> Path:
    """Write the report of a rollout as it stands now, and return its path.

    A missing or damaged part of the record becomes a sentence on the page.

    Args:
        record: the folder of the rollout.
        entries: the entries of the server's journal. The page shows those of this model since the rollout began.

    Raises:
        OSError: the page cannot be written.
    """
    path = record.folder / REPORT
    atomic_files.write(path, render(record, entries))
    return path


def render(record: Record, entries: Sequence[dict[str, Any]]) -> str:
    """Return the page."""
    evidence = collect(record, entries)
    problems = list(evidence.problems)
    shown = pictures.read(record, problems)
    rollout, summary = evidence.rollout, evidence.summary
    phases = periods.of(evidence)
    journal, earlier = rows.journal(evidence)
    plan = rollout.plan if rollout else Plan()
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            id=evidence.id,
            rollout=rollout,
            headline=headline(rollout, evidence.moments, port_of(record.folder)) if rollout else None,
            problems=problems,
            tiles=_tiles(rollout, evidence) if rollout else [],
            chart=timeline(evidence, phases),
            checks=rows.checks(rollout) if rollout else [],
            latencies=latencies(progress.load(record.folder).stages),
            steps=rows.steps(phases, evidence.moments),
            summary=summary,
            comparison=agreement.sentences(summary, plan.shadow, *_versions(rollout)) if summary else [],
            agreement=agreement.agreement(summary) if summary else None,
            correlations=histogram(summary.correlations, plan.shadow.min_reason_correlation) if summary else None,
            maps=shown.maps,
            images=shown.images,
            journal=journal,
            earlier=earlier,
            plan=_plan(rollout) if rollout else "",
            versions=_versions(rollout),
            now=words.date_and_time(evidence.now),
            started=words.date_and_time(words.parse_time(rollout.started)) if rollout else "",
            ended=words.date_and_time(periods.end_of(evidence)) if rollout and rollout.phase.is_final else "",
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([FOLDER, FOLDER / "charts"]),
        autoescape=True,  # a class may be called <script>
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(latency=words.latency, percent=words.percent, signed=words.signed)
    environment.globals.update(rate=words.rate, number=words.number)
    return environment


def _versions(rollout: Rollout | None) -> tuple[str, str]:
    return (rollout.stable, rollout.candidate) if rollout else ("stable", "candidate")


def _tiles(rollout: Rollout, evidence: Evidence) -> list[tuple[str, str, str]]:
    """Return the most important figures: name, value and detail."""
    start = words.parse_time(rollout.started)
    tiles = []
    if start is not None:
        length = words.duration((periods.end_of(evidence) - start).total_seconds())
        tiles.append(("Duration", length, "until it ended" if rollout.phase.is_final else "until now"))
    served = (RolloutPhase.CANARY, RolloutPhase.PROMOTED, RolloutPhase.BAKING)
    stable, candidate = figures.total(evidence.moments, *served)
    if candidate.requests:
        both = f"of {words.number(stable.requests + candidate.requests, 'request')} without a version"
        tiles.append((f"Answers of {rollout.candidate} to clients", f"{candidate.requests:,}", both))
        against = f"{rollout.stable}: {words.rate(stable.errors, stable.requests)}"
        tiles.append((f"Errors of {rollout.candidate}", words.rate(candidate.errors, candidate.requests), against))
    canary = [stage for stage in figures.stages(evidence.moments) if stage.phase == RolloutPhase.CANARY]
    if canary and canary[-1].candidate.p95 is not None:
        last = canary[-1]
        detail = f"{rollout.stable}: {words.latency(last.stable.p95)}; 95th percentile, last canary step"
        tiles.append((f"Latency of {rollout.candidate}", words.latency(last.candidate.p95), detail))
    summary = evidence.summary
    if summary is not None and summary.images:
        differing = summary.label_differences + summary.status_differences
        detail = f"{differing} of {words.number(summary.images, 'image')} in the shadow phase"
        tiles.append(("Other label or status", words.percent(differing / summary.images), detail))
    return tiles


def _plan(rollout: Rollout) -> str:
    return yaml.safe_dump(rollout.plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
