"""Readiness: which versions can answer predictions now, as the proxy tells health checks.

TorchServe's /ping says Healthy while workers load, die or hang. Here a version is ready while one of its predict
workers is READY for TorchServe and its process runs: neither gone nor stopped by a signal. The supervisor keeps a map
of those that are not, from which the proxy answers health checks by itself. A heartbeat in it says how old the map is.
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

# TorchServe is asked this often while a version is not ready, and else more rarely: with GPUs each answer costs it a
# process for each worker. That a worker ends or stops is seen without asking.
URGENT_POLL_SECONDS = 0.5
POLL_SECONDS = 3.0
HEARTBEAT_SECONDS = 1.0
# Without a heartbeat for so long, the proxy says that nothing is ready.
HEARTBEAT_TIMEOUT_SECONDS = 10
# TorchServe must have answered within this time; it may be busy, a version is not down for that.
ANSWER_TIMEOUT_SECONDS = 15.0

# Keys of the map beside those of versions, which have a slash in them.
HEARTBEAT = "heartbeat"
UNREADY = "unready"
STOPPING = "the server is stopping"

Registration = tuple[str, str]
Workers = Mapping[Registration, tuple[Worker, ...]]


class WorkerPoll:
    """The workers of every registration, read from TorchServe in a thread, so that a Java that hangs stops nobody."""

    def __init__(self, management: Callable[[], Management], role_counts: RoleCounts, versions_map: Path) -> None:
        self._management = management
        self._role_counts = role_counts
        self._versions_map = versions_map
        self._workers: Workers = {}
        self._answered = time.monotonic()
        self._killed: set[int] = set()
        self.urgent = False
        """Whether somebody waits for what has changed."""

    def start(self) -> None:
        """Ask once, then again and again for as long as the process lives."""
        with suppress(ManagementError):
            self.refresh()
        threading.Thread(target=self._run, name="workers", daemon=True).start()

    def refresh(self) -> None:
        """Ask TorchServe for the workers of all versions that the proxy routes to.

        Raises:
            ManagementError: it does not answer, or not with a success.
        """
        workers: dict[Registration, tuple[Worker, ...]] = {}
        management = self._management()
        for model in {key.partition("/")[0] for key in routing.read(self._versions_map)}:
            for name in self._role_counts.registered_names(model):
                with suppress(NotRegistered):
                    for version in management.describe(name):
                        workers[name, version.version] = version.workers
        self._workers, self._answered = workers, time.monotonic()
        self._killed &= registrations_of(workers).keys()  # process ids are used again

    @property
    def workers(self) -> Workers:
        """The last answer of TorchServe."""
        return self._workers

    def discard(self, pid: int) -> None:
        """Count a worker no more: it was killed, and takes a moment to be gone."""
        self._killed.add(pid)

    def works(self, worker: Worker) -> bool:
        """Return whether a worker is READY and its process runs."""
        return worker.status == "READY" and worker.pid not in self._killed and processes.runs(worker.pid)

    @property
    def silent_seconds(self) -> float:
        """Seconds since TorchServe last answered."""
        return time.monotonic() - self._answered

    def _run(self) -> None:
        polled = time.monotonic()
        while True:
            time.sleep(URGENT_POLL_SECONDS)
            if not self.urgent and time.monotonic() - polled < POLL_SECONDS:
                continue
            polled = time.monotonic()
            with suppress(ManagementError, OSError, ValueError, KeyError):  # what does not answer is noticed by its age
                self.refresh()


class Readiness:
    """Compares versions with their workers, and keeps the proxy's map of those that are not ready."""

    def __init__(self, poll: WorkerPoll, versions_map: Path) -> None:
        self._poll = poll
        self._versions_map = versions_map
        self._told: dict[str, str] = {}
        self._in_step = True

    def reconcile(self, routing_: Routing, stopping: bool = False) -> None:
        """Tell the proxy what changed since the last call, and once a second that the supervisor lives.

        Raises:
            Unreachable: the proxy does not answer.
        """
        if not self._in_step:  # a command may have been done although its answer was lost
            self._told = routing_.health()
        self._in_step = False
        entries = self.entries(stopping)
        for key in self._told.keys() - entries.keys():
            routing_.delete_health(key)
        for key, value in entries.items():
            if key not in self._told:
                routing_.add_health(key, value)
            elif self._told[key] != value and not (key == HEARTBEAT and _age(self._told[key]) < HEARTBEAT_SECONDS):
                routing_.set_health(key, value)
            else:
                entries[key] = self._told[key]
        self._told, self._in_step = entries, True

    def entries(self, stopping: bool = False) -> dict[str, str]:
        """The map as it has to be: a reason for each version that is not ready, and one for the server as a whole."""
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
        """Why a version cannot answer predictions; empty where it can."""
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


def registrations_of(workers: Workers) -> dict[int, Registration]:
    """The registration of each worker process."""
    return {worker.pid: registration for registration, processes in workers.items() for worker in processes}
