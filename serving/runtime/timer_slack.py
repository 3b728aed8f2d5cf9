"""How late the kernel may end a wait: its timer slack, 50 microseconds unless a thread says otherwise (prctl(2)).

TorchServe waits a millisecond for a batch to fill, so a single request is answered late. A thread passes its slack
on to the processes and threads that it starts.
"""

from __future__ import annotations

import ctypes
import sys

SLACK_NANOSECONDS = 1_000
_PR_SET_TIMERSLACK = 29  # <linux/prctl.h>


def reduce() -> None:
    """From now on this thread's waits, and those of what it starts, end within a microsecond; on Linux alone.

    A kernel that refuses leaves waits as they were: they are late, and nothing is wrong.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, SLACK_NANOSECONDS, 0, 0, 0)
