"""Surroundings of a rollout, as protocols. Each has one implementation here, and fakes in the tests.

Registry: TorchServe (registry.py). Router: the proxy (serving/proxy/routing.py). GoldenCheck: HTTP (golden_check.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from serving.artifacts.store import Archive
from serving.rollout.journal import JournalRun
from serving.torchserve.management import Version
from serving.torchserve.worker_roles import Role

Log = Callable[[str], None]
"""Takes a sentence on the progress of a command."""
GoldenCheck = Callable[[Archive], int]
"""Compares a registered version with the golden answers of its archive and returns their number.

It raises a GoldenError if an answer differs.
"""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One registered version, with its workers by role."""

    roles: Mapping[Role, Version]

    @property
    def predicting(self) -> Version:
        """The registration of the predict workers."""
        return self.roles[Role.PREDICT]

    @property
    def ready(self) -> bool:
        """True if it can answer predictions. A rollback does not wait for workers of other roles."""
        return self.predicting.ready > 0

    @property
    def pending(self) -> int:
        """Number of requests in TorchServe's queues."""
        return sum(registration.pending for registration in self.roles.values())

    def ready_as(self, role: Role) -> int:
        """Return the number of READY workers of a role."""
        return self.roles[role].ready if role in self.roles else 0


class Registry(Protocol):
    """The registered versions of one model server. Methods raise a ManagementError if the server does not answer."""

    def models(self) -> list[str]:
        """Return the names of the models, in order."""

    def versions(self, model: str) -> list[RegisteredVersion]:
        """Return the versions of a model."""

    def find(self, model: str, version: str) -> RegisteredVersion | None:
        """Return a version; None if it is not registered, or not with all its roles."""

    def holds(self, model: str, version: str) -> bool:
        """Return True if any part of a version is registered, as a killed command may leave it."""

    def load(self, archive: Archive, predict_workers: int, run: JournalRun, log: Log) -> None:
        """Register a version, or scale it, and wait until its workers are READY; raises a VersionError otherwise."""

    def set_default(self, model: str, version: str) -> None:
        """Make a version the one that answers requests without a version."""

    def remove(self, model: str, version: str) -> None:
        """Unregister a version. Its pending requests are never answered: drain it first."""

    def pending(self, model: str, version: str) -> int:
        """Return the number of requests in the queues of a version."""


class Router(Protocol):
    """The commit point: decides which version answers. Methods raise an Unreachable if the proxy does not answer."""

    def default(self, model: str) -> str | None:
        """Return the default version of a model."""

    def has(self, model: str, version: str) -> bool:
        """Return True if a version can be requested by name."""

    def add(self, model: str, version: str) -> None:
        """Let clients request a version by name."""

    def set_default(self, model: str, version: str) -> None:
        """Send requests without a version to this one."""

    def remove(self, model: str, version: str) -> None:
        """Send no more requests to a version that is not the default."""

    def in_flight(self, model: str, version: str) -> int:
        """Return the number of requests that a version has not answered yet."""


class Clock(Protocol):
    """Time, so that tests need not wait. The module `time` is one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""
