"""Workers that a signal stopped (SIGSTOP). TorchServe and the worker's requests would wait 60 s for it.

A worker that stays stopped is killed after STOPPED_SECONDS. TorchServe starts a new one, and waiting requests are
answered.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection

from serving.proxy.readiness import WorkerPoll, registrations_of
from serving.runtime import processes

STOPPED_SECONDS = 2.0
# A longer time between two checks means that the supervisor itself was stopped. It does not count for its workers.
LONGEST_STEP_SECONDS = 0.5


class StoppedWorkers:
    """Measures how long workers have been stopped."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._time = time.monotonic()

    def overdue(self, pids: Collection[int]) -> list[int]:
        """Return the processes that have been stopped for STOPPED_SECONDS."""
        now = time.monotonic()
        step, self._time = min(now - self._time, LONGEST_STEP_SECONDS), now
        stopped = [pid for pid in pids if processes.state(pid) == "T"]
        self._seconds = {pid: self._seconds.get(pid, -step) + step for pid in stopped}
        return [pid for pid in stopped if self._seconds[pid] >= STOPPED_SECONDS]

    def kill_overdue(self, poll: WorkerPoll, java: int, log: Callable[[str], None]) -> None:
        """Kill the workers that have been stopped for STOPPED_SECONDS. `java` is their parent process."""
        registrations = registrations_of(poll.workers)
        for pid in self.overdue(registrations):
            if kill(pid, java):
                poll.discard(pid)
                name, version = registrations[pid]
                log(
                    f"the worker {pid} of {name} {version} was stopped by a signal for {STOPPED_SECONDS:.0f} s: "
                    "it is killed, and TorchServe starts a new one"
                )


def kill(pid: int, java: int) -> bool:
    """Kill a stopped worker, and return whether it was one: process ids are reused, so its parent must be Java."""
    if processes.parent(pid) != java or processes.state(pid) != "T":
        return False
    os.kill(pid, signal.SIGKILL)
    return True
