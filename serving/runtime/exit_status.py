"""Exit statuses of processes, in words: the signal that ended one, and whether memory ran out."""

from __future__ import annotations

import re
import signal
from pathlib import Path


def oom_kills(vmstat: Path = Path("/proc/vmstat")) -> int:
    """Return the number of processes that the kernel has killed for lack of memory; 0 if it is unknown."""
    try:
        match = re.search(r"^oom_kill (\d+)$", vmstat.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def describe(status: int, oom_kills_since: int) -> str:
    """Describe how a process ended, by its return code as in subprocess: negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    ending = f"was killed by signal {-status} ({name})"
    if -status != signal.SIGKILL:
        return ending
    if oom_kills_since:
        killed = f"{oom_kills_since} process" if oom_kills_since == 1 else f"{oom_kills_since} processes"
        return f"{ending}: memory ran out (the kernel killed {killed}); use fewer workers or add memory"
    return f"{ending}: somebody sent it, or a memory limit was reached (`dmesg` may say so)"
