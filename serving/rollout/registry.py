"""The versions that TorchServe has registered: the workers of all roles of a version, as one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from models.documents import read_json
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, Conflict, NotRegistered, Refused, VersionError
from serving.rollout.interfaces import Log, RegisteredVersion
from serving.rollout.journal import JournalRun
from serving.torchserve import registrations, worker_roles
from serving.torchserve.management import Management, Version
from serving.torchserve.process import WORKER_ERRORS
from serving.torchserve.registrations import Registration
from serving.torchserve.worker_roles import Role, RoleCounts

LOAD_SECONDS = 180.0


class TorchServeRegistry:
    """The versions of one TorchServe, each with the same extra workers.

    Every method raises a ManagementError if TorchServe does not answer, or answers with an error.

    Args:
        folder: the server's folder, where the supervisor writes the errors of workers.
    """

    def __init__(self, management: Management, role_counts: RoleCounts, folder: Path) -> None:
        self._management = management
        self._role_counts = role_counts
        self._folder = folder

    def models(self) -> list[str]:
        """Return the names of the models, in order, without the registrations of extra workers."""
        return sorted(name for name in self._management.models() if worker_roles.parse(name)[1] is Role.PREDICT)

    def versions(self, model: str) -> list[RegisteredVersion]:
        """Return the versions of a model, in TorchServe's order."""
        roles: dict[str, dict[Role, Version]] = {
            registration.version: {Role.PREDICT: registration} for registration in self._management.describe(model)
        }
        for role in self._role_counts.roles[1:]:
            with suppress(NotRegistered):
                for registration in self._management.describe(role.registered_name(model)):
                    roles.get(registration.version, {})[role] = registration
        return [RegisteredVersion(by_role) for by_role in roles.values()]

    def find(self, model: str, version: str) -> RegisteredVersion | None:
        """Return a version; None if it is not registered, or not with all its roles."""
        by_role: dict[Role, Version] = {}
        for role in self._role_counts.roles:
            if (registration := self._management.find(role.registered_name(model), version)) is None:
                return None
            by_role[role] = registration
        return RegisteredVersion(by_role)

    def load(self, archive: Archive, predict_workers: int, run: JournalRun, log: Log) -> None:
        """Register missing registrations, scale those with another number of workers, and wait until all are READY.

        Raises:
            VersionError: the version cannot be loaded. It is removed again, unless all of it was READY before.
        """
        version = archive.version
        to_load = registrations.of(archive, predict_workers, self._role_counts)
        registered_before = [self._management.find(registration.name, version) for registration in to_load]
        errors_before = {registration.name: self._worker_error(registration.name, version) for registration in to_load}
        try:
            for registration in to_load:
                self._register(registration, run)
            for registration in to_load:
                self._management.await_ready(
                    registration.name,
                    version,
                    LOAD_SECONDS,
                    failure=lambda: self._failure(errors_before, version),
                    progress=log,
                )
            store.check_unchanged(archive)
        except (Refused, ArchiveError) as error:
            if not all(registered is not None and registered.is_ready for registered in registered_before):
                self.remove(archive.model, version)
                run.write("removed", reason=str(error))
            raise VersionError(f"{error}; it is not registered, and nothing else changed") from None
        run.write("ready")

    def holds(self, model: str, version: str) -> bool:
        """Return True if any part of a version is registered, as a killed command may leave it."""
        return any(
            self._management.find(name, version) is not None for name in self._role_counts.registered_names(model)
        )

    def set_default(self, model: str, version: str) -> None:
        """Make a version TorchServe's own default, for the workers of every role."""
        for name in self._role_counts.registered_names(model):
            self._management.set_default(name, version)

    def remove(self, model: str, version: str) -> None:
        """Unregister a version. Its pending requests are never answered: drain it first."""
        for name in reversed(self._role_counts.registered_names(model)):
            with suppress(NotRegistered):  # a version whose workers cannot start may remove itself
                self._management.unregister(name, version)

    def pending(self, model: str, version: str) -> int:
        """Return the number of requests in the queues of all registrations of a version that still exist."""
        existing = (self._management.find(name, version) for name in self._role_counts.registered_names(model))
        return sum(registration.pending for registration in existing if registration is not None)

    def _register(self, registration: Registration, run: JournalRun) -> None:
        name, version, workers = registration.name, registration.version, registration.workers or 1
        if self._management.find(name, version) is None:
            try:
                self._management.register(
                    name, registration.archive, workers, registration.batch_size, registration.max_batch_delay
                )
            except Conflict:  # somebody else has registered it since
                pass
            except Refused as error:
                raise Refused(f"{name} {version} cannot be registered: {error}") from None
            run.write("registered", archive=registration.archive, name=name)
        # An earlier registration may have other workers, and an archive's own minWorkers beats a registration's.
        registered = self._management.find(name, version)
        if registered is not None and registered.configured != workers:
            self._management.scale(name, version, workers)
            run.write("scaled", workers=workers, before=registered.configured, name=name)

    def _failure(self, errors_before: dict[str, tuple[str, int] | None], version: str) -> str | None:
        """Return the Python error of a worker that has died since."""
        for name, error_before in errors_before.items():
            error = self._worker_error(name, version)
            if error is not None and error != error_before:
                return error[0]
        return None

    def _worker_error(self, name: str, version: str) -> tuple[str, int] | None:
        """Return the last Python error of a version's workers and its number, as the supervisor records them."""
        try:
            errors = read_json(self._folder / WORKER_ERRORS)
            error, number = errors[f"{name}/{version}"]
        except (OSError, ValueError, KeyError):
            return None
        return str(error), int(number)
