"""Readiness of versions, which the proxy reports to health checks.

TorchServe's /ping says Healthy while workers load, die or hang. Here a version is ready if one of its predict workers
is READY for TorchServe and its process runs: it exists and no signal has stopped it. The supervisor keeps a map of
versions that are not ready. The proxy answers health checks from that map, whose heartbeat shows how old it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from serving.errors import ManagementError, NotRegistered
from serving.proxy import routing
from serving.proxy.routing import Routing
from serving.runtime import processes
from serving.torchserve.management import Management, Worker
from serving.torchserve.worker_roles import RoleCounts

# TorchServe is polled at the shorter interval while a version is not ready. With GPUs, each poll costs it a process for
# each worker. A worker that ends or stops is noticed without a poll.
URGENT_POLL_SECONDS = 0.5
POLL_SECONDS = 3.0
HEARTBEAT_SECONDS = 1.0
# After this time without a heartbeat, the proxy reports that nothing is ready.
HEARTBEAT_TIMEOUT_SECONDS = 10
# After this time without an answer of TorchServe, its versions are not ready. It may just be busy for shorter.
ANSWER_TIMEOUT_SECONDS = 15.0

# Keys of the map other than those of versions, which contain a slash.
HEARTBEAT = "heartbeat"
UNREADY = "unready"
STOPPING = "the server is stopping"

# Registered name and version.
RegistrationKey = tuple[str, str]
Workers = Mapping[RegistrationKey, tuple[Worker, ...]]


class WorkerPoll:
    """Poller of the workers of every registration, in its own thread: a hanging Java process blocks no other work."""

    def __init__(self, management: Callable[[], Management], role_counts: RoleCounts, versions_map: Path) -> None:
        self._management = management
        self._role_counts = role_counts
        self._versions_map = versions_map
        self._workers: Workers = {}
        self._answered = time.monotonic()
        self._killed: set[int] = set()
        self.urgent = False
        """True to poll at the shorter interval."""

    def start(self) -> None:
        """Poll once, then repeatedly until this process ends."""
        with suppress(ManagementError):
            self.refresh()
        threading.Thread(target=self._run, name="workers", daemon=True).start()

    def refresh(self) -> None:
        """Read the workers of all versions that the proxy routes to.

        Raises:
            ManagementError: TorchServe does not respond, or responds with an error.
        """
        workers: dict[RegistrationKey, tuple[Worker, ...]] = {}
        management = self._management()
        for model in {key.partition("/")[0] for key in routing.read(self._versions_map)}:
            for name in self._role_counts.registered_names(model):
                with suppress(NotRegistered):
                    for version in management.describe(name):
                        workers[name, version.version] = version.workers
        self._workers, self._answered = workers, time.monotonic()
        self._killed &= registrations_of(workers).keys()  # process ids are reused

    @property
    def workers(self) -> Workers:
        """Return the workers of the last poll."""
        return self._workers

    def discard(self, pid: int) -> None:
        """Ignore a worker that was killed, until it has ended."""
        self._killed.add(pid)

    def works(self, worker: Worker) -> bool:
        """Return whether a worker is READY and its process runs."""
        return worker.status == "READY" and worker.pid not in self._killed and processes.runs(worker.pid)

    @property
    def silent_seconds(self) -> float:
        """Return the seconds since TorchServe last answered."""
        return time.monotonic() - self._answered

    def _run(self) -> None:
        polled = time.monotonic()
        while True:
            time.sleep(URGENT_POLL_SECONDS)
            if not self.urgent and time.monotonic() - polled < POLL_SECONDS:
                continue
            polled = time.monotonic()
            with suppress(
                ManagementError, OSError, ValueError, KeyError
            ):  # silence is noticed by the age of the last answer
                self.refresh()


class Readiness:
    """Keeps the proxy's map of versions that are not ready, by their workers."""

    def __init__(self, poll: WorkerPoll, versions_map: Path) -> None:
        self._poll = poll
        self._versions_map = versions_map
        self._published: dict[str, str] = {}
        self._in_sync = True

    def reconcile(self, routing_: Routing, stopping: bool = False) -> None:
        """Update the proxy's map with what changed since the last call, and the heartbeat once a second.

        Raises:
            Unreachable: the proxy does not answer.
        """
        if not self._in_sync:  # a command may have run although its answer was lost
            self._published = routing_.health()
        self._in_sync = False
        entries = self.entries(stopping)
        for key in self._published.keys() - entries.keys():
            routing_.delete_health(key)
        for key, value in entries.items():
            if key not in self._published:
                routing_.add_health(key, value)
            elif self._published[key] != value and not (
                key == HEARTBEAT and _age(self._published[key]) < HEARTBEAT_SECONDS
            ):
                routing_.set_health(key, value)
            else:
                entries[key] = self._published[key]
        self._published, self._in_sync = entries, True

    def entries(self, stopping: bool = False) -> dict[str, str]:
        """Return the map: a reason for each version that is not ready, and one for the whole server."""
        versions = routing.read(self._versions_map)
        unready = {key: self._reason(*key.split("/", 1)) for key in versions if "/" in key}
        self._poll.urgent = any(unready.values())
        entries = {HEARTBEAT: str(int(time.time()))} | {key: reason for key, reason in unready.items() if reason}
        defaults = [f"{model}/{version}" for model, version in versions.items() if "/" not in model]
        reasons = [entries[key] for key in defaults if key in entries]
        if stopping:
            entries[UNREADY] = STOPPING
        elif not defaults:
            entries[UNREADY] = "no model is served"
        elif reasons:
            more = f", and {len(reasons) - 3} more models" if len(reasons) > 3 else ""
            entries[UNREADY] = "; ".join(reasons[:3]) + more
        return entries

    def _reason(self, model: str, version: str) -> str:
        """Return why a version cannot answer predictions, or an empty text if it can."""
        if self._poll.silent_seconds > ANSWER_TIMEOUT_SECONDS:
            return f"{model} {version} is not ready: TorchServe has not answered for {ANSWER_TIMEOUT_SECONDS:.0f} s"
        workers = self._poll.workers.get((model, version))
        if workers is None:
            return f"{model} {version} is not registered in the model server"
        if any(map(self._poll.works, workers)):
            return ""
        return f"{model} {version} has no READY predict worker (0 of {len(workers)})"


def _age(heartbeat: str) -> float:
    return abs(time.time() - int(heartbeat)) if heartbeat.isdigit() else HEARTBEAT_SECONDS


def registrations_of(workers: Workers) -> dict[int, RegistrationKey]:
    """Return the registration of each worker process."""
    return {worker.pid: registration for registration, processes in workers.items() for worker in processes}
