"""Ctrl-C and SIGTERM while a training runs: the first asks it to stop at the next batch, a later one kills it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What comes sooner is the same wish: a terminal and torchrun both pass one Ctrl-C on to a process.
SAME_WISH_SECONDS = 0.5


class Interrupted(Exception):
    """The training was stopped, and where: batch `step` of `steps` of an epoch."""

    def __init__(self, epoch: int, step: int, steps: int) -> None:
        super().__init__(f"stopped in epoch {epoch}, after batch {step} of {steps}")


class Interruption:
    """Within it, `asked` says whether somebody wants the training to stop. Signals reach the main thread alone."""

    def __init__(self) -> None:
        self.asked = False
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self._at = True, time.monotonic()
        elif time.monotonic() - self._at > SAME_WISH_SECONDS:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
