"""Timer slack: how late the kernel may end a wait, by default 50 microseconds (prctl(2)).

TorchServe waits a millisecond for a batch to fill, so the slack delays a single request. A thread passes its slack on
to the processes and threads that it starts.
"""

from __future__ import annotations

import ctypes
import sys

SLACK_NANOSECONDS = 1_000
_PR_SET_TIMERSLACK = 29  # <linux/prctl.h>


def reduce() -> None:
    """Reduce the timer slack of this thread and its children to a microsecond. Only Linux has timer slack.

    If the kernel refuses, timers keep their default slack. This is harmless.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, SLACK_NANOSECONDS, 0, 0, 0)
