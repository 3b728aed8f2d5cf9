"""A server as a child process: started, waited for, and stopped with everything that it has started itself (Linux)."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 180.0
STOP_SECONDS = 15.0
# In the environment of every process of one server: how those are found that left its process tree.
MARK = "TORCHLIGHT_PEER"
LAST_LINES = 15
# States of a process that has ended (proc(5)).
_ENDED = "ZX"


class PeerError(RuntimeError):
    """A peer cannot be started, or did not answer; the message ends with its last lines of output."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, and what it wants in its environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(command: Command, folder: Path, log: Path, is_up: Callable[[], bool]) -> Iterator[None]:
    """Run it in `folder` until the context is left; entered as soon as `is_up`.

    Raises:
        PeerError: it ended by itself, or was not up within START_SECONDS.
    """
    mark = secrets.token_hex(8)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command.arguments,
            cwd=folder,
            env={**command.environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(child, log, is_up)
        yield
    finally:
        _stop(child, mark)


def _wait(child: subprocess.Popen[bytes], log: Path, is_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up():
        if child.poll() is not None:
            raise PeerError(f"it ended with status {child.returncode} before it answered:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise PeerError(f"it did not answer within {START_SECONDS:.0f} s:\n{_tail(log)}")
        time.sleep(0.2)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def _stop(child: subprocess.Popen[bytes], mark: str) -> None:
    """SIGTERM to the server itself, SIGKILL to whatever is left after STOP_SECONDS, or sooner if it has ended.

    Its tree is taken before: the parents of a killed server's children are no longer known. Not every process shows its
    environment (Ray's write their titles over it), and not every one stays in the tree: together they are all.
    """
    known = tree({child.pid})
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while left := {pid for pid in known if _is_alive(pid)} | _marked(mark):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.poll()
        if time.monotonic() > deadline:
            raise PeerError(f"processes {sorted(left)} outlived SIGKILL")
        time.sleep(0.05)
    child.wait()


def tree(roots: Collection[int]) -> set[int]:
    """These processes and all below them, as far as they still run (proc(5))."""
    parents = {pid: int(fields[1]) for pid in _pids() if (fields := stat(pid)) and fields[0] not in _ENDED}
    found = set(roots) & parents.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _marked(mark: str) -> set[int]:
    wanted, found = f"{MARK}={mark}".encode(), set()
    for pid in _pids():
        with suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes() and _is_alive(pid):
                found.add(pid)
    return found


def _pids() -> Collection[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (names alone)


def stat(pid: int) -> list[str] | None:
    """What /proc/<pid>/stat says behind the name: state, parent and so on (proc(5)); None: there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _is_alive(pid: int) -> bool:
    found = stat(pid)
    return found is not None and found[0] not in _ENDED
