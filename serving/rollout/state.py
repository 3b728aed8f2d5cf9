"""Desired state: which versions of which models run, with how many workers, and which is the default.

A small file in the server's folder, `state.json`. A start brings back what it says, default first, in whatever order
the store is. Where it and the proxy's map on disk differ, a command was killed after its commit: the map wins.
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from models import documents
from models.card import Name, Sha256, Version, describe
from models.documents import DocumentError
from models.release import check_spelling, version_key
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, ConfigError
from serving.proxy import routing
from serving.runtime import atomic_files

FILE_NAME = "state.json"
# Worker processes that one version may have.
MAX_WORKERS = 256


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VersionState(_Part):
    """A version that runs.

    Attributes:
        workers: None leaves their number to the archive's model-config.yaml.
        sha256: of the archive that was registered; None where an older state does not say.
    """

    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | None = None
    since: str
    sha256: Sha256 | None = None


class ModelState(_Part):
    """A model that is served.

    Attributes:
        previous: the default before this one, which `rollback` goes back to.
        rolled_back_from: set by a rollback, so that a second one changes nothing. While it still equals the default,
            the rollback has begun and not been committed.
    """

    default: Version
    previous: Version | None = None
    rolled_back_from: Version | None = None
    versions: dict[Version, VersionState]

    @field_validator("versions")
    @classmethod
    def versions_are_spelled_once(cls, versions: dict[str, VersionState]) -> dict[str, VersionState]:
        """Refuse two spellings of one version."""
        for version in versions:
            check_spelling("version", version, versions, "listed too")
        return versions

    @property
    def rolling_back(self) -> bool:
        """Whether a rollback has begun and not been committed."""
        return self.rolled_back_from == self.default

    def follow(self, committed: str) -> None:
        """Catch up with a default that was committed to the map by a command that was killed then."""
        if committed != self.default and committed in self.versions:
            self.previous = None if self.rolling_back else self.default
            self.default = committed


class State(_Part):
    """The desired state of one server.

    Attributes:
        generation: counts its changes.
        order: of the container whose VERSION= or MODEL= made this state; given again, it is not followed again.
    """

    schema_version: Literal[1] = 1
    generation: int = 0
    order: str | None = None
    models: dict[Name, ModelState] = {}

    def add(self, model: str, version: str, workers: int | None, sha256: str | None = None) -> None:
        """Add a version that runs; the first of a model is its default.

        Raises:
            ReleaseError: it runs already in another spelling.
        """
        known = self.models.get(model)
        since = known.versions[version].since if known and version in known.versions else now()
        check_spelling(model, version, known.versions if known else (), "running")
        entry = VersionState(workers=workers, since=since, sha256=sha256)
        if known is None:
            self.models[model] = ModelState(default=version, versions={version: entry})
        else:
            known.versions[version] = entry

    def remember(self, before: State) -> None:
        """Take over which archives ran, so that a start can name those that changed since."""
        for name, model in self.models.items():
            if name in before.models:
                for version, entry in model.versions.items():
                    if version in before.models[name].versions:
                        entry.sha256 = before.models[name].versions[version].sha256

    def save(self, folder: Path) -> None:
        """Write it: whole or not at all."""
        self.generation += 1
        atomic_files.write(folder / FILE_NAME, self.model_dump_json(indent=2) + "\n")


def now() -> str:
    """The time, as it stands in state and journal: ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def load(folder: Path) -> State | None:
    """The state of a server's folder, or None where it never ran.

    Raises:
        ConfigError: the file is damaged; the message says where it lies.
    """
    path = folder / FILE_NAME
    try:
        state = State.model_validate(documents.read_json(path))
    except FileNotFoundError:
        return None
    except (ValidationError, DocumentError) as error:
        reason = f"{path}: {describe(error)}" if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"{reason}; correct it, or remove it to start from the newest versions") from None
    committed = routing.read(folder / routing.FILE_NAME)
    for name, model in state.models.items():
        if name in committed:
            model.follow(committed[name])
    return state


def from_archives(archives: list[Archive]) -> State:
    """The state of a first start: these versions, the first of each model its default."""
    state = State()
    for archive in archives:
        state.add(archive.model, archive.version, None)
    return state


def wanted(folder: Path, model: str | None, version: str | None, order: str | None = None) -> State:
    """What a start brings up: `model` and `version` where they are asked for, else what the folder's state says.

    Args:
        order: who asks. Docker restarts a container with the flags of its launch, and what was promoted since must not
            be undone by a crash: of one order the flags are followed once.

    Raises:
        ConfigError, ArchiveError: the state is damaged, or the store lacks what is asked for.
    """
    asked = f"{order} {model or ''} {version or ''}" if order and (model or version) else None
    kept = load(folder) if asked or not (model or version) else None
    if kept is not None and (asked is None or kept.order == asked):
        return kept
    state = from_archives(store.choose(model, version))
    state.order = asked
    with suppress(ConfigError):  # what is asked for replaces a damaged state
        state.remember(load(folder) or State())
    return state


def check(state: State, archives: list[Archive]) -> tuple[list[Archive], list[str]]:
    """Check the archives of a start, and note their digests in `state`.

    Returns:
        Those to start. Second, sentences on those that are left out, changed since they last ran, or have no digest.

    Raises:
        ArchiveError: that of a default is damaged, or was replaced since it was archived.
    """
    sound, sentences = [], []
    for archive in archives:
        model = state.models[archive.model]
        entry = model.versions[archive.version]
        try:
            checked = store.checked(archive)
        except ArchiveError as error:
            if archive.version == model.default:
                raise
            sentences.append(f"{error}; {archive.model} {archive.version} is not started")
            continue
        if not checked.listed:
            sentences.append(store.unlisted(checked))
        if entry.sha256 not in (None, checked.sha256):
            sentences.append(
                f"{archive.model} {archive.version} is not the file that ran last: {archive.path} has changed, from "
                f"SHA-256 {str(entry.sha256)[:12]}… to {checked.sha256[:12]}…"
            )
        entry.sha256 = checked.sha256
        sound.append(checked)
    return sound, sentences


def archives(state: State, root: Path = store.ROOT) -> tuple[list[Archive], list[str]]:
    """What to start from the store: each model's default first. Second, sentences on what is missing.

    Raises:
        ArchiveError: the archive of a default is gone; without another version it cannot be replaced by a guess.
    """
    found, missing = [], []
    for name, model in sorted(state.models.items()):
        others = sorted((v for v in model.versions if v != model.default), key=version_key, reverse=True)
        for version in (model.default, *others):
            archive = Archive(store.path_of(name, version, root), name, version)
            if archive.path.is_file():
                found.append(archive)
            elif version == model.default:
                raise ArchiveError(
                    f"{archive.path} is gone, and {version} is the default version of {name!r}: put it back, or choose "
                    f"another with `make serve MODEL={name} VERSION=`"
                )
            else:
                missing.append(f"{archive.path} is gone: {name} {version} is not started")
    return found, missing
