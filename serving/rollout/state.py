"""Desired state of one server: the versions of each model with their number of workers, default version and phase.

`state_file.py` keeps it on disk, `startup.py` starts a server from it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.card import Name, Sha256, Version
from models.release import check_spelling
from serving.artifacts.store import Archive

SCHEMA_VERSION: Literal[2] = 2
# Worker processes that one version may have.
MAX_WORKERS = 256


class Phase(StrEnum):
    """Phase of a model's rollout."""

    STABLE = "stable"
    """The default answers, and no change has begun."""
    ROLLING_BACK = "rolling_back"
    """A rollback has begun. The proxy's map does not have its version yet, as far as the state knows."""


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VersionState(_StrictModel):
    """One version that runs.

    Attributes:
        workers: number of predict workers; None leaves it to the archive's model-config.yaml.
        since: time of its registration.
        sha256: digest of the registered archive; None if an older state does not record it.
    """

    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None
    since: str
    sha256: Sha256 | None = None


class ModelState(_StrictModel):
    """One model that is served. Its methods are the only transitions between phases.

    Attributes:
        phase: phase of its rollout.
        default: the version that answers requests without a version.
        previous: the default before this one: `rollback` goes back to it.
        rolled_back_from: the version that the last rollback left, so that a second rollback changes nothing.
        versions: the registered versions, by their name.
    """

    phase: Phase = Phase.STABLE
    default: Version
    previous: Version | None = None
    rolled_back_from: Version | None = None
    versions: dict[Version, VersionState]

    @field_validator("versions")
    @classmethod
    def versions_have_one_spelling(cls, versions: dict[str, VersionState]) -> dict[str, VersionState]:
        """Refuse two spellings of one version."""
        for version in versions:
            check_spelling("version", version, versions, "listed too")
        return versions

    @property
    def rolled_back(self) -> bool:
        """True if the last change of the default was a rollback that is complete."""
        return self.phase is Phase.STABLE and self.rolled_back_from is not None

    def promote(self, version: str) -> None:
        """Make a version the default. Promoting the default again keeps `previous`."""
        if version != self.default:
            self.previous, self.default = self.default, version
        self.rolled_back_from = None
        self.phase = Phase.STABLE

    def begin_rollback(self) -> None:
        """Record the intent: after a kill, the next run knows the direction from it."""
        self.rolled_back_from = self.default
        self.phase = Phase.ROLLING_BACK

    def finish_rollback(self, version: str) -> None:
        """Make `version` the default again, once the proxy's map has it."""
        self.default, self.previous = version, None
        self.phase = Phase.STABLE

    def remove(self, version: str) -> None:
        """Remove a version. A rollback to it that has begun is given up."""
        self.versions.pop(version, None)
        if self.previous == version:
            self.previous = None
            if self.phase is Phase.ROLLING_BACK:
                self.phase, self.rolled_back_from = Phase.STABLE, None

    def follow(self, committed: str) -> None:
        """Adopt the default of the proxy's map, which a killed command has changed without writing the state."""
        if committed == self.default or committed not in self.versions:
            return
        if self.phase is Phase.ROLLING_BACK and committed == self.previous:
            self.finish_rollback(committed)
        else:
            self.promote(committed)


class State(_StrictModel):
    """Desired state of one server.

    Attributes:
        schema_version: format of the document. Version 1 had no `phase`; it is converted when it is read.
        generation: number of changes so far.
        order: the container, and the --version or --model of its launch, that made this state. A container follows its
            launch once.
        models: the models that are served, by their name.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    generation: int = 0
    order: str | None = None
    models: dict[Name, ModelState] = {}

    @model_validator(mode="before")
    @classmethod
    def convert_schema_1(cls, document: Any) -> Any:
        """Give each model of a version 1 document the phase that two equal fields stood for."""
        if not isinstance(document, dict):
            return document
        schema_version = document.get("schema_version", SCHEMA_VERSION)
        if schema_version not in (1, SCHEMA_VERSION):
            raise ValueError(
                f"schema_version is {schema_version}, and this release of Torchlight reads 1 and {SCHEMA_VERSION}"
            )
        models = document.get("models", {})
        if schema_version == SCHEMA_VERSION or not isinstance(models, dict):
            return document
        converted = {
            name: {"phase": _phase_of_schema_1(model), **model} if isinstance(model, dict) else model
            for name, model in models.items()
        }
        return {**document, "schema_version": SCHEMA_VERSION, "models": converted}

    def add(self, model: str, version: str, workers: int | None, sha256: str | None = None) -> None:
        """Add a version that runs; the first one of a model is its default.

        Raises:
            ReleaseError: the version runs already in another spelling.
        """
        model_state = self.models.get(model)
        versions = model_state.versions if model_state else {}
        since = versions[version].since if version in versions else now()
        check_spelling(model, version, versions, "running")
        version_state = VersionState(workers=workers, since=since, sha256=sha256)
        if model_state is None:
            self.models[model] = ModelState(default=version, versions={version: version_state})
        else:
            versions[version] = version_state

    def remove(self, model: str, version: str) -> None:
        """Remove a version, and the model with its last one.

        A model that was never promoted may lose its default. The next version then takes its place.
        """
        model_state = self.models[model]
        model_state.remove(version)
        if not model_state.versions:
            del self.models[model]
        elif model_state.default == version:
            model_state.default = next(iter(model_state.versions))

    def copy_digests(self, before: State) -> None:
        """Copy the digests of an earlier state, so that a start can name the archives that changed since."""
        for name, model in self.models.items():
            earlier = before.models[name].versions if name in before.models else {}
            for version, version_state in model.versions.items():
                if version in earlier:
                    version_state.sha256 = earlier[version].sha256


def _phase_of_schema_1(model: dict[str, Any]) -> Phase:
    """Return the phase of a model in a version 1 document: there, a begun rollback kept the default it was to leave."""
    left = model.get("rolled_back_from")
    return Phase.ROLLING_BACK if left is not None and left == model.get("default") else Phase.STABLE


def from_archives(archives: Iterable[Archive]) -> State:
    """Return the state of a first start: these versions, the first one of each model as its default."""
    state = State()
    for archive in archives:
        state.add(archive.model, archive.version, None)
    return state


def now() -> str:
    """Return the time as state and journal write it: ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
