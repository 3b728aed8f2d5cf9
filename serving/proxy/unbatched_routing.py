"""Routing of single predictions, which do not wait for a batch to fill.

TorchServe fills batches by registration, and waits `maxBatchDelay`, at least a millisecond, for more requests. So a
version has one worker in a registration with batches of one (Role.UNBATCHED). The proxy sends it a prediction if the
version has no other prediction in flight, and is in the map of versions whose unbatched worker is up. This module keeps
that map up to date.
"""

from __future__ import annotations

import re
import threading

from serving.proxy.routing import Routing
from serving.runtime import processes
from serving.torchserve import worker_roles
from serving.torchserve.process import LINE, THREAD
from serving.torchserve.worker_roles import Role

# Line that such a worker logs when it is ready (handlers/torchserve_handler.py).
READY = "this worker answers single predictions"

_PID = re.compile(r"^\[PID\](\d+)$")


class UnbatchedRouting:
    """Follows unbatched workers by TorchServe's log and by their process ids. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting: dict[str, int] = {}
        self._workers: dict[int, tuple[str, str]] = {}
        self._open: set[tuple[str, str]] = set()

    def feed(self, line: str) -> None:
        """Process one line of TorchServe's log."""
        match = LINE.match(line)
        worker = match and THREAD.match(match["thread"] or "")
        if not match or not worker:
            return
        model, role = worker_roles.parse(worker["model"])
        if role is not Role.UNBATCHED:
            return
        with self._lock:
            if pid := _PID.match(match["message"]):
                self._starting[worker[0]] = int(pid[1])
            elif match["message"] == READY and worker[0] in self._starting:
                self._workers[self._starting.pop(worker[0])] = (model, worker["version"])

    def reconcile(self, routing: Routing) -> None:
        """Update the proxy's map with all changes since the last call.

        Raises:
            Unreachable: the proxy does not answer.
        """
        with self._lock:
            self._workers = {pid: version for pid, version in self._workers.items() if processes.runs(pid)}
            ready = set(self._workers.values())
        for version in self._open - ready:
            routing.close_unbatched(*version)
            self._open.discard(version)
        for version in ready - self._open:
            routing.open_unbatched(*version)
            self._open.add(version)
