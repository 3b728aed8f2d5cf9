"""Child processes of a supervisor: they end with it, their output is read line by line, and orphans are reaped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

# Pipe size, for a thousand lines of HAProxy between two reads: HAProxy drops lines when the pipe is full.
PIPE_BYTES = 1 << 18
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    gather_seconds: float = 0.0,
) -> subprocess.Popen[bytes]:
    """Start a child in its own process group, so that Ctrl-C reaches only the supervisor.

    Args:
        on_line: called in a thread with each line of the child's output, without its line end.
        gather_seconds: lines of such a period are passed in one call, separated by line ends. A child that writes
            thousands of lines a second would otherwise wake this process for each of them.
    """
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent,
        pipesize=PIPE_BYTES if gather_seconds else -1,
    )
    threading.Thread(target=_read, args=(child, on_line, gather_seconds), daemon=True).start()
    return child


def _read(child: subprocess.Popen[bytes], on_line: Callable[[str], None], gather_seconds: float) -> None:
    assert child.stdout is not None
    unfinished = b""
    with child.stdout as out:
        while data := os.read(out.fileno(), PIPE_BYTES):
            lines, end, unfinished = (unfinished + data).rpartition(b"\n")
            if end:
                text = lines.decode(errors="replace")
                for line in [text] if gather_seconds else text.split("\n"):
                    _pass_on(on_line, line)
            if gather_seconds:
                time.sleep(gather_seconds)
    if unfinished:
        _pass_on(on_line, unfinished.decode(errors="replace"))


def _pass_on(on_line: Callable[[str], None], lines: str) -> None:
    """Call `on_line`. An exception does not end the reading: a child whose pipe is full would block."""
    try:
        on_line(lines)
    except Exception:
        with contextlib.suppress(OSError):
            traceback.print_exc()


def _die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies, even by SIGKILL (prctl(2), Linux). Runs before exec."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Return whether a process can run: it exists, is not a zombie, and is not stopped by a signal (SIGSTOP)."""
    return state(pid) not in ("", "Z", "X", "T")


def state(pid: int) -> str:
    """Return the state of a process, as in proc(5): "T" if a signal stopped it, "Z" for a zombie, "" if there is none.

    On systems other than Linux, a process that exists is "R".
    """
    fields = _stat(pid)
    if fields or sys.platform == "linux":
        return fields[0] if fields else ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "R"


def parent(pid: int) -> int | None:
    """Return the parent of a process, or None if it cannot be read."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the program's name, which may contain spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def end(child: subprocess.Popen[bytes], patience: float) -> None:
    """Send SIGTERM, after `patience` seconds SIGKILL, and then SIGKILL to the rest of its process group."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def start_ticks(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot (proc(5)); None if the process does not exist.

    Process ids are reused. An id and its start time together name one process.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def terminate(pid: int, ticks: int | None) -> bool:
    """Send SIGTERM to the process with this id and start time. Return False, and send nothing, if there is none."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        return False
    try:  # the handle names the same process, even when its id is reused
        if ticks is None or start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(handle, signal.SIGTERM)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def reap(own: Collection[int]) -> None:
    """Reap ended orphans that this process inherited, as PID 1 must. `own` children are left to their Popen."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)
