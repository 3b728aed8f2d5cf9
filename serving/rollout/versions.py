"""Versions of a running server: register, promote, roll back, retire.

Each is a row of steps in an order that a kill between any two leaves repairable by running the same command again, and
doing any of them twice does no harm. The proxy's map is the one commit point: what comes before it changes nothing
that clients see, what comes after only follows it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from models.golden import GoldenError
from models.release import check_spelling, in_order
from serving.artifacts import model_config, store
from serving.client import Client
from serving.errors import StartError, VersionError
from serving.proxy.routing import FILE_NAME as MAP
from serving.proxy.routing import SOCKET, Routing
from serving.rollout import archive_content, golden_check, state
from serving.rollout.journal import Journal, last_entry
from serving.rollout.registry import Registry
from serving.rollout.state import ModelState, State
from serving.runtime import atomic_files, last_run
from serving.runtime.instance import Instance
from serving.torchserve import worker_roles
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import Role, RoleCounts

DRAIN_SECONDS = 120.0
DRAIN_POLL_SECONDS = 0.2

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One version, as `make models` shows it; `explaining` and `unbatched` are READY workers of those roles."""

    model: str
    version: str
    default: bool
    workers: int
    ready: int
    explaining: int
    unbatched: int
    queue: int
    in_flight: int
    since: str


class Versions:
    """The versions of one running server.

    Raises:
        StartError: no server runs there, or it runs without a proxy.
    """

    def __init__(self, instance: Instance, say: Say = lambda message: None, root: Path = store.ROOT) -> None:
        status = instance.status()
        port = instance.ports.public
        if not instance.running() or status is None or status.state != "ready":
            words = last_run.crash(instance)
            raise StartError(
                f"no server is ready on port {port}: start one with `make serve PORT={port}`"
                + (f"\n{words}" if words else "")
            )
        if not status.proxy:
            raise StartError(
                f"the server on port {port} runs with PROXY=0, and versions need the proxy: leave PROXY=0 out"
            )
        self._instance = instance
        self._folder = instance.folder
        self._say = say
        self._root = root
        self._registry = Registry(Management.of(instance), RoleCounts.of(status), self._folder)
        self._routing = Routing(self._folder / MAP, Path(status.temp) / SOCKET)

    def table(self) -> list[Row]:
        """Every registered version: the default first, then by TorchServe's order."""
        known = state.load(self._folder) or State()
        rows = []
        for model in self._registry.models():
            default = self._routing.default(model)
            for found in self._registry.versions(model):
                version = found.predicting.version
                kept = known.models.get(model)
                rows.append(
                    Row(
                        model,
                        version,
                        default=version == default,
                        workers=found.predicting.configured,
                        ready=found.predicting.ready,
                        explaining=found.ready_as(Role.EXPLAIN),
                        unbatched=found.ready_as(Role.UNBATCHED),
                        queue=found.pending,
                        in_flight=self._routing.in_flight(model, version),
                        since=kept.versions[version].since if kept and version in kept.versions else "",
                    )
                )
        return sorted(rows, key=lambda row: (row.model, not row.default))

    def register(self, model: str, version: str, workers: int | None = None) -> None:
        """Load a version beside the others; it answers those who name it. Registered before: its workers are scaled.

        Raises:
            ConfigError: no model can have this name.
            ReleaseError: no version can have this name, or it is there in another spelling.
            ArchiveError: there is no such archive, it is damaged, or it was replaced since it was archived.
            VersionError: `workers` is out of range; other content is registered under this version; or it cannot be
                loaded: then it is removed again, and the message is its Python error.
        """
        if workers is not None and not 1 <= workers <= state.MAX_WORKERS:
            raise VersionError(f"workers is {workers}: give a number from 1 to {state.MAX_WORKERS}")
        path = store.path_of(worker_roles.check_model_name(model), version, self._root)
        check_spelling(model, version, store.versions(model, self._root), f"in {self._root}/")
        archive = store.checked(store.Archive(path, model, version))
        if not archive.listed:
            self._say(store.unlisted(archive))
        with self._command("register", model, version) as (journal, wanted):
            archive_content.check_registered(self._registry, self._folder, wanted, archive)
            journal.write("checked", sha256=archive.sha256, listed=archive.listed)
            count = workers or model_config.of_archive(archive.path).minWorkers
            self._registry.load(archive, count, journal, self._say)
            self._routing.add(model, version)
            wanted.add(model, version, workers, archive.sha256)
            wanted.save(self._folder)
            journal.write("done")

    def promote(self, model: str, version: str) -> None:
        """Make a registered version the default, after its golden answers came out over HTTP.

        Raises:
            ArchiveError: its archive is gone or damaged, or was replaced since it was archived.
            VersionError: it is not registered or not READY, its archive has changed since it was registered, or it
                answers otherwise than it was trained to.
        """
        with self._command("promote", model, version) as (journal, wanted):
            entry = self._registered(wanted, model, version)
            already = self._routing.default(model) == version
            if not already:
                journal.write("golden", answers=self._check_golden(model, version, entry.versions[version].sha256))
            self._commit(journal, model, version)
            if entry.default != version:
                entry.previous, entry.default = entry.default, version
            entry.rolled_back_from = None
            wanted.save(self._folder)
            journal.write("done", already=already)

    def rollback(self, model: str) -> str:
        """Make the version before the default again, at once: it is still registered and warm. Returns which it is.

        Raises:
            VersionError: there is none, or it is no longer READY.
        """
        with self._command("rollback", model, None) as (journal, wanted):
            entry = self._known(wanted, model)
            if entry.rolled_back_from is not None and not entry.rolling_back:
                self._commit(journal, model, entry.default)
                wanted.save(self._folder)
                self._say(f"{model} was rolled back from {entry.rolled_back_from} to {entry.default} already")
                journal.write("done", already=True)
                return entry.default
            if entry.previous is None:
                raise VersionError(
                    f"{model}: nothing was promoted before {entry.default}: there is no version to go back to"
                )
            target = entry.previous
            self._registered(wanted, model, target)
            entry.rolled_back_from = entry.default
            wanted.save(self._folder)  # the intent: from it a run after a kill knows the direction
            self._commit(journal, model, target)
            entry.default, entry.previous = target, None
            wanted.save(self._folder)
            journal.write("done", rolled_back_from=entry.rolled_back_from)
            return target

    def retire(self, model: str, version: str) -> None:
        """Send a version nothing more, wait until it has nothing left to answer, then unregister it.

        Raises:
            VersionError: there is none such; it is the default; or it still has requests after DRAIN_SECONDS, and then
                stays registered.
        """
        with self._command("retire", model, version) as (journal, wanted):
            if not self._exists(wanted, model, version):
                self._check_retired(wanted, model, version)
                self._say(f"{model} {version} was retired already")
                journal.write("done", already=True)
                return
            if version == self._routing.default(model):
                raise VersionError(f"{model} {version} is the default version: promote another one first")
            self._routing.remove(model, version)
            journal.write("closed")
            self._drain(model, version)
            journal.write("drained")
            self._registry.remove(model, version)
            journal.write("unregistered")
            entry = wanted.models.get(model)
            if entry is not None:
                entry.versions.pop(version, None)
                entry.previous = None if entry.previous == version else entry.previous
                wanted.save(self._folder)
            journal.write("done")

    # ---- steps

    def _commit(self, journal: Journal, model: str, version: str) -> None:
        self._routing.set_default(model, version)
        journal.write("committed")
        self._registry.set_default(model, version)
        journal.write("torchserve default set")

    def _known(self, wanted: State, model: str) -> ModelState:
        if model not in wanted.models:
            raise VersionError(f"no model {model!r} is served: there is {', '.join(wanted.models) or 'none'}")
        return wanted.models[model]

    def _registered(self, wanted: State, model: str, version: str) -> ModelState:
        """The model's state, once it is sure that this version is registered and READY."""
        entry = self._known(wanted, model)
        found = self._registry.find(model, version)
        if found is None or version not in entry.versions:
            check_spelling(model, version, entry.versions, "registered")
            raise VersionError(
                f"{model} {version} is not registered: run `make register MODEL={model} VERSION={version}` first"
            )
        if not found.ready:
            raise VersionError(f"{model} {version} has no READY worker: see `make models` and the server's log")
        return entry

    def _exists(self, wanted: State, model: str, version: str) -> bool:
        """Say whether anything knows of a version: the state, the map or TorchServe."""
        entry = wanted.models.get(model)
        listed = entry is not None and version in entry.versions
        return listed or self._routing.has(model, version) or self._registry.holds(model, version)

    def _check_retired(self, wanted: State, model: str, version: str) -> None:
        """Check that a version which is not there was retired from this server.

        Raises:
            VersionError: it never was there.
        """
        if last_entry(self._folder, model, version, "unregistered") is not None:
            return
        entry = self._known(wanted, model)
        check_spelling(model, version, entry.versions, "registered")
        there = [f"{name} (the default)" if name == entry.default else name for name in in_order(entry.versions)]
        raise VersionError(f"no version {version} of {model!r} is registered: there is {', '.join(there)}")

    def _check_golden(self, model: str, version: str, registered: str | None) -> int:
        """Ask for the archive's golden images through the proxy, and compare."""
        archive = store.checked(store.Archive(store.path_of(model, version, self._root), model, version))
        archive_content.check_promoted(archive, registered)
        # Sent once each: a version whose worker dies on a golden image must not pass at the second try.
        with Client(self._instance.url, self._instance.token(), retries=0) as client:
            try:
                answered = golden_check.ask(client, archive.path, model, version)
            except GoldenError as error:
                raise VersionError(f"{model} {version} is not promoted: {error}") from None
        self._say(f"{model} {version}: {len(answered)} golden answers came out over HTTP")
        return len(answered)

    def _drain(self, model: str, version: str) -> None:
        deadline, quiet = time.monotonic() + DRAIN_SECONDS, 0
        while quiet < 2:  # twice in a row: a request may be on its way from the proxy to the queue
            left = self._routing.in_flight(model, version) + self._registry.pending(model, version)
            quiet = quiet + 1 if left == 0 else 0
            if time.monotonic() > deadline:
                raise VersionError(
                    f"{model} {version} still has {left} requests after {DRAIN_SECONDS:.0f} s: run it again"
                )
            time.sleep(DRAIN_POLL_SECONDS)

    @contextmanager
    def _command(self, name: str, model: str, version: str | None) -> Iterator[tuple[Journal, State]]:
        """One command at a time; its start, and its failure if it fails, stand in the journal."""
        with open(self._folder / "commands.lock", "w", opener=atomic_files.private) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VersionError(
                    "another version command is running on this server: wait until it has ended"
                ) from None
            atomic_files.check_space(self._folder)
            journal = Journal(self._folder, name, model, version)
            journal.write("started")
            try:
                yield journal, state.load(self._folder) or State()
            except Exception as error:
                with suppress(OSError):  # the error itself may be that the disk is full
                    journal.write("failed", reason=str(error))
                raise
