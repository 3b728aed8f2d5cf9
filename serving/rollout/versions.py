"""Versions of a running server: register, promote, roll back, retire.

Each command is a sequence of idempotent steps. After a kill between any two of them, the same command completes the
work. The router is the one commit point: earlier steps change nothing that clients see, later steps only follow it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.golden import GoldenError
from models.release import check_spelling, in_order
from serving.artifacts import model_config, store
from serving.errors import VersionError
from serving.rollout import archive_content, record
from serving.rollout.interfaces import Clock, GoldenCheck, Log, Registry, Router
from serving.rollout.journal import Journal, JournalRun
from serving.rollout.state import MAX_WORKERS, ModelState, State
from serving.rollout.state_file import StateFile
from serving.rollout.version_status import VersionStatus
from serving.torchserve import worker_roles
from serving.torchserve.worker_roles import Role

DRAIN_SECONDS = 120.0
DRAIN_POLL_SECONDS = 0.2


class Versions:
    """The versions of one server. `local.py` makes them for a server on this machine.

    Args:
        registry: loads and unloads versions.
        router: decides which version answers.
        golden_check: compares a loaded version with the golden answers of its archive.
        state_file: the desired state.
        journal: the record of every step.
        root: the model store.
        log: gets a sentence on each step that a person may wait for.
        clock: measures and waits while a version drains.
        rollout_of: returns the id of the active rollout of a model, whose versions only its controller may change.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        router: Router,
        golden_check: GoldenCheck,
        state_file: StateFile,
        journal: Journal,
        root: Path = store.ROOT,
        log: Log = lambda message: None,
        clock: Clock = time,
        rollout_of: Callable[[str], str | None] = lambda model: None,
    ) -> None:
        self._registry = registry
        self._router = router
        self._golden_check = golden_check
        self._state_file = state_file
        self._journal = journal
        self._root = root
        self._log = log
        self._clock = clock
        self._rollout_of = rollout_of

    def statuses(self) -> list[VersionStatus]:
        """Return every registered version: by model, the default first, then in the registry's order."""
        state = self._state_file.load() or State()
        statuses = []
        for model in self._registry.models():
            default = self._router.default(model)
            model_state = state.models.get(model)
            for registered in self._registry.versions(model):
                version = registered.predicting.version
                version_state = model_state.versions.get(version) if model_state else None
                statuses.append(
                    VersionStatus(
                        model,
                        version,
                        default=version == default,
                        workers=registered.predicting.configured,
                        ready=registered.predicting.ready,
                        explaining=registered.ready_as(Role.EXPLAIN),
                        unbatched=registered.ready_as(Role.UNBATCHED),
                        queue=registered.pending,
                        in_flight=self._router.in_flight(model, version),
                        since=version_state.since if version_state else "",
                    )
                )
        return sorted(statuses, key=lambda status: (status.model, not status.default))

    def register(self, model: str, version: str, workers: int | None = None) -> None:
        """Load a version beside the others, for requests that name it. If it is registered, scale its workers.

        Raises:
            ConfigError: a model cannot have this name.
            ReleaseError: a version cannot have this name, or it is registered in another spelling.
            ArchiveError: there is no such archive, it is damaged, or it was replaced since it was archived.
            VersionError: `workers` is out of range; other content is registered under this version; or it cannot be
                loaded: then it is removed again, and the message is its Python error.
        """
        if workers is not None and not 1 <= workers <= MAX_WORKERS:
            raise VersionError(f"workers is {workers}: give a number from 1 to {MAX_WORKERS}")
        path = store.path_of(worker_roles.check_model_name(model), version, self._root)
        check_spelling(model, version, store.versions(model, self._root), f"in {self._root}/")
        archive = store.checked(store.Archive(path, model, version))
        if not archive.listed:
            self._log(store.unlisted(archive))
        with self._command("register", model, version) as (run, state):
            archive_content.check_registered(self._registry, self._journal, state, archive)
            run.write("checked", sha256=archive.sha256, listed=archive.listed)
            predict_workers = workers or model_config.of_archive(archive.path).minWorkers
            self._registry.load(archive, predict_workers, run, self._log)
            self._router.add(model, version)
            state.add(model, version, workers, archive.sha256)
            self._state_file.save(state)
            run.write("done")

    def promote(self, model: str, version: str) -> None:
        """Make a registered version the default, after its golden answers were reproduced over HTTP.

        Raises:
            ArchiveError: its archive is missing or damaged, or was replaced since it was archived.
            VersionError: it is not registered or not READY, its archive has changed since it was registered, or a
                golden answer differs.
        """
        with self._command("promote", model, version) as (run, state):
            model_state = self._ready(state, model, version)
            routed = self._router.default(model)
            already = routed == version
            if not already:
                registered = model_state.versions[version].sha256
                run.write("golden", answers=self._check_golden(model, version, registered))
            if routed is None:  # the first promotion of a model has no version to go back to
                model_state.default = version
                self._state_file.save(state)
            self._commit(run, model, version)
            model_state.promote(version)
            self._state_file.save(state)
            run.write("done", already=already)

    def rollback(self, model: str) -> str:
        """Make the previous default the default again, at once: it is registered and warm. Return its version.

        Raises:
            VersionError: there is none, or it is not READY.
        """
        with self._command("rollback", model, None) as (run, state):
            model_state = self._served(state, model)
            if model_state.rolled_back:
                self._commit(run, model, model_state.default)
                self._state_file.save(state)
                self._log(
                    f"{model} was rolled back from {model_state.rolled_back_from} to {model_state.default} already"
                )
                run.write("done", already=True)
                return model_state.default
            target = model_state.previous
            if target is None:
                raise VersionError(
                    f"{model}: nothing was promoted before {model_state.default}: rollback needs a previous default"
                )
            self._ready(state, model, target)
            model_state.begin_rollback()
            self._state_file.save(state)
            self._commit(run, model, target)
            model_state.finish_rollback(target)
            self._state_file.save(state)
            run.write("done", rolled_back_from=model_state.rolled_back_from)
            return target

    def retire(self, model: str, version: str) -> None:
        """Send a version no more requests, wait until it has answered all it has, then unregister it.

        Raises:
            VersionError: there is no such version; it is the default; or it still has requests after DRAIN_SECONDS, and
                then stays registered.
        """
        with self._command("retire", model, version) as (run, state):
            if not self._exists(state, model, version):
                self._check_retired(state, model, version)
                self._log(f"{model} {version} was retired already")
                run.write("done", already=True)
                return
            if version == self._router.default(model):
                raise VersionError(f"{model} {version} is the default version: promote another one first")
            self._router.remove(model, version)
            run.write("closed")
            self._drain(model, version)
            run.write("drained")
            self._registry.remove(model, version)
            run.write("unregistered")
            if model in state.models:
                state.remove(model, version)
                self._state_file.save(state)
            run.write("done")

    def restore(self, model: str, version: str) -> None:
        """Make a version the default again after a promotion, which may have been killed half way.

        Raises:
            ArchiveError, VersionError: as `rollback` and `promote`.
        """
        state = self._state_file.load() or State()
        model_state = state.models.get(model)
        if model_state and (
            model_state.previous == version or (model_state.rolled_back and model_state.default == version)
        ):
            self.rollback(model)
        else:
            self.promote(model, version)

    def exists(self, model: str, version: str) -> bool:
        """Return True if the state, the router or the registry has a version."""
        return self._exists(self._state_file.load() or State(), model, version)

    # ---- steps

    def _commit(self, run: JournalRun, model: str, version: str) -> None:
        self._router.set_default(model, version)
        run.write("committed")
        self._registry.set_default(model, version)
        run.write("torchserve default set")

    def _check_no_rollout(self, model: str) -> None:
        """Raise a VersionError if a rollout of the model is active."""
        if (rollout := self._rollout_of(model)) is not None:
            raise VersionError(record.is_active(rollout, model))

    def _served(self, state: State, model: str) -> ModelState:
        """Return the state of a model; raises a VersionError if it is not served."""
        if model not in state.models:
            raise VersionError(f"no model {model!r} is served: there is {', '.join(state.models) or 'none'}")
        return state.models[model]

    def _ready(self, state: State, model: str, version: str) -> ModelState:
        """Return the state of a model; raises a VersionError if the version is not registered, or not READY."""
        model_state = self._served(state, model)
        registered = self._registry.find(model, version)
        if registered is None or version not in model_state.versions:
            check_spelling(model, version, model_state.versions, "registered")
            raise VersionError(
                f"{model} {version} is not registered: run "
                f"`torchlight versions register --model {model} --version {version}` first"
            )
        if not registered.ready:
            raise VersionError(
                f"{model} {version} has no READY worker: see `torchlight versions models` and the server's log"
            )
        return model_state

    def _exists(self, state: State, model: str, version: str) -> bool:
        """Return True if the state, the router or the registry has a version."""
        listed = model in state.models and version in state.models[model].versions
        return listed or self._router.has(model, version) or self._registry.holds(model, version)

    def _check_retired(self, state: State, model: str, version: str) -> None:
        """Check that a version which does not exist was retired from this server.

        Raises:
            VersionError: it never existed.
        """
        if self._journal.last(model, version, "unregistered") is not None:
            return
        model_state = self._served(state, model)
        check_spelling(model, version, model_state.versions, "registered")
        registered = [
            f"{name} (the default)" if name == model_state.default else name for name in in_order(model_state.versions)
        ]
        raise VersionError(f"no version {version} of {model!r} is registered: there is {', '.join(registered)}")

    def _check_golden(self, model: str, version: str, registered: str | None) -> int:
        """Compare a version with the golden answers of its archive, and return their number.

        Args:
            registered: digest of the registered archive.
        """
        archive = store.checked(store.Archive(store.path_of(model, version, self._root), model, version))
        archive_content.check_promoted(archive, registered)
        try:
            count = self._golden_check(archive)
        except GoldenError as error:
            raise VersionError(f"{model} {version} is not promoted: {error}") from None
        self._log(f"{model} {version}: {count} golden answers were reproduced over HTTP")
        return count

    def _drain(self, model: str, version: str) -> None:
        deadline, idle_looks = self._clock.monotonic() + DRAIN_SECONDS, 0
        while idle_looks < 2:  # twice in a row: a request may be on its way from the proxy to the queue
            unanswered = self._router.in_flight(model, version) + self._registry.pending(model, version)
            idle_looks = idle_looks + 1 if unanswered == 0 else 0
            if self._clock.monotonic() > deadline:
                raise VersionError(
                    f"{model} {version} still has {unanswered} requests after {DRAIN_SECONDS:.0f} s: run it again"
                )
            self._clock.sleep(DRAIN_POLL_SECONDS)

    @contextmanager
    def _command(self, name: str, model: str, version: str | None) -> Iterator[tuple[JournalRun, State]]:
        """Run one command at a time, and write its start, and its failure if it fails, to the journal."""
        with self._state_file.lock():
            run = self._journal.begin(name, model, version)
            run.write("started")
            try:
                self._check_no_rollout(model)
                yield run, self._state_file.load() or State()
            except Exception as error:
                with suppress(OSError):  # the error itself may be that the disk is full
                    run.write("failed", reason=str(error))
                raise
