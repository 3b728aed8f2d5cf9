"""What TorchServe has registered: of each version the workers of every role, as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.documents import read_json
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import ArchiveError, Conflict, NotRegistered, Refused, VersionError
from serving.rollout.journal import Journal
from serving.torchserve import registrations, worker_roles
from serving.torchserve.management import Management, Version
from serving.torchserve.process import WORKER_ERRORS
from serving.torchserve.registrations import Registration
from serving.torchserve.worker_roles import Role, RoleCounts

LOAD_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Registered:
    """One version, as each role that it has workers for."""

    roles: Mapping[Role, Version]

    @property
    def predicting(self) -> Version:
        """Those that predict."""
        return self.roles[Role.PREDICT]

    @property
    def ready(self) -> bool:
        """Whether it can answer predictions; no rollback waits for the workers beside those that do."""
        return self.predicting.ready > 0

    @property
    def pending(self) -> int:
        """Requests that wait in TorchServe's queues."""
        return sum(found.pending for found in self.roles.values())

    def ready_as(self, role: Role) -> int:
        """How many workers of a role are READY."""
        return self.roles[role].ready if role in self.roles else 0


class Registry:
    """The versions of one TorchServe, each with such a role_counts.

    Every method raises a ManagementError where TorchServe does not answer, or not with a success.
    """

    def __init__(self, management: Management, role_counts: RoleCounts, folder: Path) -> None:
        self._management = management
        self._role_counts = role_counts
        self._folder = folder

    def models(self) -> list[str]:
        """The models that are served, by name."""
        return sorted(name for name in self._management.models() if worker_roles.parse(name)[1] is Role.PREDICT)

    def versions(self, model: str) -> list[Registered]:
        """The versions of a model, in TorchServe's order."""
        roles: dict[str, dict[Role, Version]] = {
            found.version: {Role.PREDICT: found} for found in self._management.describe(model)
        }
        for role in self._role_counts.roles[1:]:
            with suppress(NotRegistered):
                for found in self._management.describe(role.registered_name(model)):
                    roles.get(found.version, {})[role] = found
        return [Registered(found) for found in roles.values()]

    def find(self, model: str, version: str) -> Registered | None:
        """One version, or None where it is not registered or lacks workers that it should have."""
        found: dict[Role, Version] = {}
        for role in self._role_counts.roles:
            if (part := self._management.find(role.registered_name(model), version)) is None:
                return None
            found[role] = part
        return Registered(found)

    def load(self, archive: Archive, count: int, journal: Journal, say: Callable[[str], None]) -> None:
        """Register what is not registered, scale what has another number of workers, and wait until all are READY.

        Args:
            count: workers that predict.

        Raises:
            VersionError: it cannot be loaded. It is removed again, unless all of it was READY before.
        """
        version, parts = archive.version, registrations.of(archive, count, self._role_counts)
        found = [self._management.find(part.name, version) for part in parts]
        before = {part.name: self._worker_error(part.name, version) for part in parts}
        try:
            for part in parts:
                self._register(part, journal)
            for part in parts:
                self._management.await_ready(
                    part.name, version, LOAD_SECONDS, failure=lambda: self._failure(before, version), progress=say
                )
            store.check_unchanged(archive)
        except (Refused, ArchiveError) as error:
            if not all(one is not None and one.is_ready for one in found):
                self.remove(archive.model, version)
                journal.write("removed", reason=str(error))
            raise VersionError(f"{error}; it is not registered, and nothing else changed") from None
        journal.write("ready")

    def holds(self, model: str, version: str) -> bool:
        """Say whether anything of a version is registered, as a command that was killed may leave it."""
        return any(
            self._management.find(name, version) is not None for name in self._role_counts.registered_names(model)
        )

    def set_default(self, model: str, version: str) -> None:
        """Make a version the one that answers those who name none."""
        for name in self._role_counts.registered_names(model):
            self._management.set_default(name, version)

    def remove(self, model: str, version: str) -> None:
        """Unregister a version. Requests that it still has are never answered: drain first."""
        for name in reversed(self._role_counts.registered_names(model)):
            with suppress(NotRegistered):  # a version whose workers cannot start may remove itself
                self._management.unregister(name, version)

    def pending(self, model: str, version: str) -> int:
        """Requests that wait in the queues of a version, or of what is left of it."""
        found = (self._management.find(name, version) for name in self._role_counts.registered_names(model))
        return sum(part.pending for part in found if part is not None)

    def _register(self, registration: Registration, journal: Journal) -> None:
        name, version, count = registration.name, registration.version, registration.workers or 1
        if self._management.find(name, version) is None:
            try:
                self._management.register(
                    name, registration.archive, count, registration.batch_size, registration.max_batch_delay
                )
            except Conflict:  # by somebody else since, which is what was wanted
                pass
            except Refused as error:
                raise Refused(f"{name} {version} cannot be registered: {error}") from None
            journal.write("registered", archive=registration.archive, name=name)
        # It was registered before with other workers, or its archive says minWorkers, which beat a registration's.
        started = self._management.find(name, version)
        if started is not None and started.configured != count:
            self._management.scale(name, version, count)
            journal.write("scaled", workers=count, before=started.configured, name=name)

    def _failure(self, before: dict[str, tuple[str, int] | None], version: str) -> str | None:
        """The Python error of a worker that has died since."""
        for name, known in before.items():
            error = self._worker_error(name, version)
            if error is not None and error != known:
                return error[0]
        return None

    def _worker_error(self, name: str, version: str) -> tuple[str, int] | None:
        """The last Python error of a version's workers and its number, as the supervisor keeps them."""
        try:
            errors = read_json(self._folder / WORKER_ERRORS)
            error, number = errors[f"{name}/{version}"]
        except (OSError, ValueError, KeyError):
            return None
        return str(error), int(number)
