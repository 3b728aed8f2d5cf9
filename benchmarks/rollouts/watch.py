"""Times of a rollout to a few milliseconds, which its journal has to the second."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from models.documents import DocumentError
from serving.errors import ConfigError
from serving.rollout import record as records
from serving.rollout.phase import RolloutPhase
from serving.rollout.verdict import Outcome

POLL_SECONDS = 0.005


class Watch(threading.Thread):
    """Looks at the next rollout of a server until it has ended.

    Args:
        folder: the server's folder.

    Attributes:
        started: when its record appeared, seconds since the epoch.
        reached: when each phase was first seen.
        alarm: when a failed verdict was first seen; None without one.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._before = {record.id for record in records.records(folder)}
        self.started = 0.0
        self.reached: dict[RolloutPhase, float] = {}
        self.alarm: float | None = None

    def run(self) -> None:
        """Poll the files of the rollout."""
        while not (added := [r for r in records.records(self._folder) if r.id not in self._before]):
            time.sleep(POLL_SECONDS)
        (record,), self.started = added, time.time()
        while not any(phase.is_final for phase in self.reached):
            try:
                phase = record.load().phase
                failed = any(verdict.outcome is Outcome.FAIL for verdict in record.verdicts())
            except (ConfigError, DocumentError, ValueError):  # a line that is being written
                continue
            self.reached.setdefault(phase, time.time())
            if failed and self.alarm is None:
                self.alarm = time.time()
            time.sleep(POLL_SECONDS)
