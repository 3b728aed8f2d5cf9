"""The record of one rollout on disk: its state, its figures over time and its verdicts, in a folder of its own.

`.run/<port>/rollouts/<id>/` has:

- `rollout.json`, the state, written by the controller alone;
- `figures.jsonl`, the counts of both arms over time;
- `verdicts.jsonl`, each verdict that differs from the one before;
- `shadow/`, the comparisons (serving/rollout/shadow/);
- `report.html`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from models import documents
from models.card import Name, Version, describe
from models.documents import DocumentError
from serving.errors import ConfigError
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.state import now
from serving.rollout.verdict import Verdict
from serving.runtime import atomic_files, private_folder

FOLDER = "rollouts"
STATE = "rollout.json"
FIGURES = "figures.jsonl"
VERDICTS = "verdicts.jsonl"
REPORT = "report.html"
# Made by `torchlight rollout start`, removed by the last controller: the supervisor runs a controller while it exists.
WAKE = "active"


class Rollout(BaseModel):
    """State of one rollout. The controller writes it after each transition.

    Attributes:
        id: name of its folder: model, candidate and start, such as `digits-2.0-20261130T101500`.
        stable: the default version at its start.
        actor: user who started it.
        phase: the phase now, or the one that was paused.
        phase_since: when this phase began, ISO 8601.
        step: index of the canary step, from 0.
        share: share of the candidate that the proxy should have now.
        paused: why it is paused; None if it is not.
        reason: why it rolled back, or needs a person; None otherwise.
        accepted: checks whose failure paused the rollout, and which a user accepted by `resume`.
        registered_here: True if this rollout registered the candidate, and so may unregister it.
        promoted: True once the candidate was to become the default.
        verdicts: the last verdict of each check, by its name.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    id: str
    model: Name
    stable: Version
    candidate: Version
    actor: str
    started: str
    plan: Plan
    phase: RolloutPhase = RolloutPhase.PLANNED
    phase_since: str
    step: int = 0
    share: float = 0.0
    paused: str | None = None
    reason: str | None = None
    accepted: list[str] = []
    registered_here: bool = False
    promoted: bool = False
    verdicts: dict[str, Verdict] = {}


class Record:
    """The folder of one rollout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """Return the id of the rollout."""
        return self.folder.name

    def load(self) -> Rollout:
        """Return the state.

        Raises:
            ConfigError: there is none, or it is damaged.
        """
        path = self.folder / STATE
        try:
            return Rollout.model_validate(documents.read_json(path))
        except FileNotFoundError:
            raise ConfigError(f"there is no rollout {self.id}: `torchlight rollout history` lists them") from None
        except (ValidationError, DocumentError) as error:
            reason = f"{path}: {describe(error)}" if isinstance(error, ValidationError) else str(error)
            raise ConfigError(f"{reason}; remove {self.folder} to forget this rollout") from None

    def save(self, rollout: Rollout) -> None:
        """Write the state, atomically."""
        atomic_files.write(self.folder / STATE, rollout.model_dump_json(indent=2) + "\n")

    def changed(self) -> float:
        """Return when the state was written, in seconds since 1970."""
        return (self.folder / STATE).stat().st_mtime

    def has_current_report(self) -> bool:
        """Return whether the report was written after the state. It is written a little after each change."""
        report = self.folder / REPORT
        return report.exists() and report.stat().st_mtime >= self.changed()

    def add_verdict(self, verdict: Verdict) -> None:
        """Append a verdict."""
        atomic_files.append_line(self.folder / VERDICTS, verdict.model_dump_json())

    def verdicts(self) -> list[Verdict]:
        """Return all verdicts, oldest first."""
        return [Verdict.model_validate(line) for line in self._lines(VERDICTS)]

    def add_figures(self, **figures: Any) -> None:
        """Append the figures of this moment: phase, share, and counts of both arms."""
        atomic_files.append_line(self.folder / FIGURES, json.dumps({"time": now(), **figures}))

    def figures(self) -> list[dict[str, Any]]:
        """Return all figures, oldest first."""
        return list(self._lines(FIGURES))

    def _lines(self, name: str) -> Iterable[dict[str, Any]]:
        try:
            return [line for line in documents.read_json_lines(self.folder / name) if isinstance(line, dict)]
        except FileNotFoundError:
            return []


def records(instance_folder: Path) -> list[Record]:
    """Return the rollouts of a server, oldest first."""
    folders = (path.parent for path in (instance_folder / FOLDER).glob(f"*/{STATE}"))
    return [Record(folder) for folder in sorted(folders, key=lambda folder: folder.name.rpartition("-")[2])]


def create(instance_folder: Path, rollout: Rollout) -> Record:
    """Make the folder of a new rollout, with its state."""
    private_folder.make(instance_folder / FOLDER)
    record = Record(instance_folder / FOLDER / rollout.id)
    private_folder.make(record.folder)
    record.save(rollout)
    return record


def readable(instance_folder: Path) -> list[tuple[Record, Rollout]]:
    """Return the rollouts with their states, oldest first, without damaged ones: these must block no others."""
    states = []
    for record in records(instance_folder):
        with suppress(ConfigError, OSError):
            states.append((record, record.load()))
    return states


def of_model(instance_folder: Path, model: str) -> list[Record]:
    """Return the rollouts of a model, oldest first, without damaged ones."""
    return [record for record, rollout in readable(instance_folder) if rollout.model == model]


def active(instance_folder: Path) -> list[Record]:
    """Return the rollouts that have not ended. A damaged one counts as ended."""
    return [record for record, rollout in readable(instance_folder) if not rollout.phase.is_final]


def active_of(instance_folder: Path, model: str) -> Record | None:
    """Return the rollout of a model that has not ended, or None."""
    states = readable(instance_folder)
    return next((record for record, state in states if state.model == model and not state.phase.is_final), None)


def is_active(rollout: str, model: str) -> str:
    """Return the error message of a command that an active rollout forbids."""
    return (
        f"the rollout {rollout} is active: `torchlight rollout status --model {model}` shows it, and "
        f"`torchlight rollout promote --model {model}` or `torchlight rollout abort --model {model}` ends it"
    )


def wake_file(instance_folder: Path) -> Path:
    """Return the file whose existence asks the supervisor for a controller."""
    return instance_folder / FOLDER / WAKE
