"""Start of a server: the desired state, and the archives of the store that it names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from models.release import version_key
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, ConfigError
from serving.rollout.journal import Journal
from serving.rollout.state import State, from_archives
from serving.rollout.state_file import StateFile


def desired_state(folder: Path, model: str | None, version: str | None, order: str | None = None) -> State:
    """Return the state for a start: the requested `model` and `version`, or else the saved state of the folder.

    Args:
        order: identity of the container that starts. Docker restarts a container with the flags of its launch, and a
            crash must not undo a promotion: the flags of one container are followed once.

    Raises:
        ConfigError, ArchiveError: the state is damaged, or the store lacks the requested archive.
    """
    state_file = StateFile(folder)
    requested = f"{order} {model or ''} {version or ''}" if order and (model or version) else None
    saved = state_file.load() if requested or not (model or version) else None
    if saved is not None and (requested is None or saved.order == requested):
        return saved
    state = from_archives(store.choose(model, version))
    state.order = requested
    with suppress(ConfigError):  # a damaged state is replaced by the requested one
        state.copy_digests(state_file.load() or State())
    return state


def stored_archives(state: State, root: Path = store.ROOT) -> tuple[list[Archive], list[str]]:
    """Return the archives to start, each model's default first, and a sentence on each archive that is missing.

    Raises:
        ArchiveError: the archive of a default is missing. Another version does not replace it by a guess.
    """
    present, missing = [], []
    for name, model in sorted(state.models.items()):
        others_newest_first = sorted(
            (version for version in model.versions if version != model.default), key=version_key, reverse=True
        )
        for version in (model.default, *others_newest_first):
            archive = Archive(store.path_of(name, version, root), name, version)
            if archive.path.is_file():
                present.append(archive)
            elif version == model.default:
                raise ArchiveError(
                    f"{archive.path} is gone, and {version} is the default version of {name!r}: put it back, or choose "
                    f"another with `torchlight serve --model {name} --version`"
                )
            else:
                missing.append(f"{archive.path} is gone: {name} {version} is not started")
    return present, missing


def check_archives(state: State, archives: list[Archive]) -> tuple[list[Archive], list[str]]:
    """Check the archives of a start, and record their digests in `state`.

    Returns:
        The archives to start; and a sentence on each one that is left out, has changed since it last ran, or has no
        digest beside it.

    Raises:
        ArchiveError: the archive of a default is damaged, or was replaced since it was archived.
    """
    sound, sentences = [], []
    for archive in archives:
        model = state.models[archive.model]
        version_state = model.versions[archive.version]
        try:
            checked = store.checked(archive)
        except ArchiveError as error:
            if archive.version == model.default:
                raise
            sentences.append(f"{error}; {archive.model} {archive.version} is not started")
            continue
        if not checked.listed:
            sentences.append(store.unlisted(checked))
        if version_state.sha256 not in (None, checked.sha256):
            sentences.append(
                f"{archive.model} {archive.version} is not the file that ran last: {archive.path} has changed, from "
                f"SHA-256 {str(version_state.sha256)[:12]}… to {checked.sha256[:12]}…"
            )
        version_state.sha256 = checked.sha256
        sound.append(checked)
    return sound, sentences


def record_start(folder: Path, started: State) -> None:
    """Save the state of a server that is up, so that its next start restores it, and write its start to the journal."""
    state_file = StateFile(folder)
    saved = state_file.load()
    if saved is None or (saved.models, saved.order) != (started.models, started.order):
        started.generation = saved.generation if saved else 0
        state_file.save(started)
    for name, model in started.models.items():
        Journal(folder).begin("start", name, model.default).write("done", versions=sorted(model.versions))
