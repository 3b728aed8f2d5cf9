"""Child processes of a supervisor: they die with it, their output is read line by line, strays are collected."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], on_line: Callable[[str], None]
) -> subprocess.Popen[str]:
    """Start a child in a process group of its own, so that Ctrl-C reaches the supervisor alone.

    Args:
        on_line: called, in a thread, with each line of the child's output, without its end.
    """
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    threading.Thread(target=_read, args=(child, on_line), daemon=True).start()
    return child


def _read(child: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        on_line(line.rstrip("\n"))


def _die_with_parent() -> None:
    """In the child, before exec: the kernel kills it when its parent dies, even by SIGKILL (prctl(2), Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end(child: subprocess.Popen[str], patience: float) -> None:
    """SIGTERM, SIGKILL after `patience` seconds, and SIGKILL to whatever is left of its process group."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def reap(own: Collection[int]) -> None:
    """Collect ended processes that were left to this one, as PID 1 must; `own` children are left to their Popen."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in own:
            os.waitpid(found.si_pid, 0)
