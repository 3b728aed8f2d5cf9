"""A prediction that has no company need not wait for a batch to fill.

TorchServe waits `maxBatchDelay`, a millisecond at least, for others to come, by registration. So a version has a worker
in a registration with batches of one (Role.UNBATCHED): while it has no other prediction in flight, the proxy sends one
there, if the version stands in a map of those whose worker is up. This module keeps that map as workers come and go.
"""

from __future__ import annotations

import re
import threading

from serving.proxy.routing import Routing
from serving.runtime import processes
from serving.torchserve import worker_roles
from serving.torchserve.process import LINE, THREAD
from serving.torchserve.worker_roles import Role

# What it says when it is ready for them (handlers/torchserve_handler.py).
READY = "this worker answers single predictions"

_PID = re.compile(r"^\[PID\](\d+)$")


class UnbatchedRouting:
    """Follows the workers by TorchServe's log, and whether they live by their process ids. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting: dict[str, int] = {}
        self._workers: dict[int, tuple[str, str]] = {}
        self._open: set[tuple[str, str]] = set()

    def feed(self, line: str) -> None:
        """Take in one line of TorchServe's log."""
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
        """Tell the proxy what has changed since the last time.

        Raises:
            Unreachable: it does not answer.
        """
        with self._lock:
            self._workers = {pid: lane for pid, lane in self._workers.items() if processes.runs(pid)}
            wanted = set(self._workers.values())
        for lane in self._open - wanted:
            routing.close_unbatched(*lane)
            self._open.discard(lane)
        for lane in wanted - self._open:
            routing.open_unbatched(*lane)
            self._open.add(lane)
