"""Everything that the folder of a rollout has, as far as it can be read."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models import documents
from models.card import describe
from models.documents import DocumentError
from serving.errors import ConfigError
from serving.rollout.record import FIGURES, VERDICTS, Record, Rollout
from serving.rollout.report import figures, words
from serving.rollout.report.figures import Moment
from serving.rollout.shadow.files import FOLDER, SUMMARY
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.verdict import Verdict

SUMMARY_PATH = Path(FOLDER, SUMMARY)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The parts of a record.

    Attributes:
        rollout: the state; None if it is missing or damaged.
        summary: the comparison of both versions; None without one.
        entries: entries of the journal on this model since the rollout began, oldest first.
        problems: what could not be read, a sentence each.
        now: when the record was read.
    """

    id: str
    rollout: Rollout | None
    moments: Sequence[Moment]
    verdicts: Sequence[Verdict]
    summary: ShadowSummary | None
    entries: Sequence[dict[str, Any]]
    problems: Sequence[str]
    now: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))


def collect(record: Record, entries: Sequence[dict[str, Any]]) -> Evidence:
    """Read a record. What is missing or damaged is left out, and named in `problems` if it should be there."""
    problems: list[str] = []
    rollout = None
    try:
        rollout = record.load()
    except (ConfigError, OSError) as error:
        problems.append(f"The state of the rollout cannot be read: {error}")
    return Evidence(
        id=record.id,
        rollout=rollout,
        moments=figures.parse_all(_lines(record.folder / FIGURES, problems)),
        verdicts=_verdicts(record.folder / VERDICTS, problems),
        summary=summary(record, problems),
        entries=_of_rollout(entries, record.id, rollout),
        problems=problems,
    )


def summary(record: Record, problems: list[str]) -> ShadowSummary | None:
    """Return the comparison of both versions; None if there is none, or it is damaged, which `problems` then says."""
    path = record.folder / SUMMARY_PATH
    try:
        return ShadowSummary.model_validate(documents.read_json(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problems.append(f"{SUMMARY_PATH} is damaged: {describe(error)}")
    except (DocumentError, OSError) as error:
        problems.append(f"{SUMMARY_PATH} cannot be read: {error}")
    return None


def _lines(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    try:
        return [line for line in documents.read_json_lines(path) if isinstance(line, dict)]
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return []


def _verdicts(path: Path, problems: list[str]) -> list[Verdict]:
    verdicts, damaged = [], 0
    for line in _lines(path, problems):
        try:
            verdicts.append(Verdict.model_validate(line))
        except ValidationError:
            damaged += 1
    if damaged:
        problems.append(f"{path.name}: {words.number(damaged, 'line is', 'lines are')} damaged")
    return verdicts


def _of_rollout(entries: Sequence[dict[str, Any]], name: str, rollout: Rollout | None) -> list[dict[str, Any]]:
    """Return the entries of this rollout, and those of other commands on its model while it ran."""
    if rollout is None:
        return [entry for entry in entries if entry.get("run") == name]
    start = words.parse_time(rollout.started)
    end = words.parse_time(rollout.phase_since) if rollout.phase.is_final else None
    return [
        entry
        for entry in entries
        if entry.get("run") == name
        or (
            entry.get("model") == rollout.model
            and (time := words.parse_time(entry.get("time"))) is not None
            and (start is None or start <= time)
            and (end is None or time <= end)
        )
    ]
