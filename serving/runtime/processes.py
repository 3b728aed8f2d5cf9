"""Child processes of a supervisor: they die with it, their output is heard in lines, strays are collected."""

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

# What may wait between two looks: a thousand lines of HAProxy's, which drops those that a full pipe does not take.
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
    """Start a child in a process group of its own, so that Ctrl-C reaches the supervisor alone.

    Args:
        on_line: called, in a thread, with each line of the child's output, without its end.
        gather_seconds: what is written within such a time comes in one call, its lines still apart: of a child that
            writes thousands of lines a second, each by itself would wake this process up.
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
    begun = b""
    with child.stdout as out:
        while came := os.read(out.fileno(), PIPE_BYTES):
            whole, end, begun = (begun + came).rpartition(b"\n")
            if end:
                text = whole.decode(errors="replace")
                for lines in [text] if gather_seconds else text.split("\n"):
                    _pass_on(on_line, lines)
            if gather_seconds:
                time.sleep(gather_seconds)
    if begun:
        _pass_on(on_line, begun.decode(errors="replace"))


def _pass_on(on_line: Callable[[str], None], lines: str) -> None:
    """Call `on_line`. Nothing that it raises ends the reading: a child whose pipe is full stands still."""
    try:
        on_line(lines)
    except Exception:
        with contextlib.suppress(OSError):
            traceback.print_exc()


def _die_with_parent() -> None:
    """In the child, before exec: the kernel kills it when its parent dies, even by SIGKILL (prctl(2), Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Return whether a process can do its work: it is neither gone nor ended, nor stopped by a signal (SIGSTOP)."""
    return state(pid) not in ("", "Z", "X", "T")


def state(pid: int) -> str:
    """The letter of a process's state, as in proc(5): "T" for one that a signal stopped, "Z" for a zombie; "" for none.

    Elsewhere than on Linux a process that exists is "R".
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
    """The process that started another one, or None where that is not known."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the program's name, which may hold blanks and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def end(child: subprocess.Popen[bytes], patience: float) -> None:
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


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the machine did (proc(5)); None where there is none.

    Process ids are used again. With this one that is written down still names the same process, or none.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def terminate(pid: int, ticks: int | None) -> bool:
    """Send SIGTERM to the process that has this id and started then; return False, and send nothing, to any other."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        return False
    try:  # the handle stays with the process that it was opened for, whatever becomes of the id
        if ticks is None or start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(handle, signal.SIGTERM)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def reap(own: Collection[int]) -> None:
    """Collect ended processes that were left to this one, as PID 1 must; `own` children are left to their Popen."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in own:
            os.waitpid(found.si_pid, 0)
