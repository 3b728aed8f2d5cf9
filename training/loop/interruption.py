"""Ctrl-C and SIGTERM during a training: the first stops it at the next batch, a later one kills it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Signals that are closer together count as one: a terminal and torchrun both forward one Ctrl-C to a process.
SAME_SIGNAL_SECONDS = 0.5


class Interrupted(Exception):
    """The training was stopped after batch `step` of `steps` of an epoch."""

    def __init__(self, epoch: int, step: int, steps: int) -> None:
        super().__init__(f"stopped in epoch {epoch}, after batch {step} of {steps}")


class Interruption:
    """Context in which a signal sets `requested` instead of ending the process; it works in the main thread only."""

    def __init__(self) -> None:
        self.requested = False
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._request) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._at = True, time.monotonic()
        elif time.monotonic() - self._at > SAME_SIGNAL_SECONDS:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
