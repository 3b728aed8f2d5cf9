"""A server as a child process: started, awaited, and stopped with all processes that it has started (Linux)."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compare.processes import all_pids, is_alive, tree

START_SECONDS = 180.0
STOP_SECONDS = 15.0
# Environment variable of every process of one server. It finds processes that left the process tree.
MARKER = "TORCHLIGHT_PEER"
LAST_LINES = 15


class PeerError(RuntimeError):
    """A peer cannot be started, or did not respond. The message ends with its last lines of output."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments and its environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running(command: Command, folder: Path, log: Path, is_up: Callable[[], bool]) -> Iterator[None]:
    """Run the command in `folder` until the end of the context, which is entered as soon as `is_up`.

    Raises:
        PeerError: the command ended, or was not up within START_SECONDS.
    """
    marker = secrets.token_hex(8)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command.arguments,
            cwd=folder,
            env={**command.environment, MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(child, log, is_up)
        yield
    finally:
        _stop(child, marker)


def _wait(child: subprocess.Popen[bytes], log: Path, is_up: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up():
        if child.poll() is not None:
            raise PeerError(f"it ended with status {child.returncode} before it responded:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise PeerError(f"it did not respond within {START_SECONDS:.0f} s:\n{_tail(log)}")
        time.sleep(0.2)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def _stop(child: subprocess.Popen[bytes], marker: str) -> None:
    """Send SIGTERM to the server. Send SIGKILL to its other processes when it has ended, or after STOP_SECONDS.

    The process tree is listed first, because the children of an ended server have another parent. Some processes hide
    their environment (Ray overwrites it with process titles), and some leave the tree. Tree and marker find all.
    """
    members = tree({child.pid})
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while survivors := {pid for pid in members if is_alive(pid)} | _marked(marker):
        for pid in survivors:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.poll()
        if time.monotonic() > deadline:
            raise PeerError(f"processes {sorted(survivors)} outlived SIGKILL")
        time.sleep(0.05)
    child.wait()


def _marked(marker: str) -> set[int]:
    variable, pids = f"{MARKER}={marker}".encode(), set()
    for pid in all_pids():
        with suppress(OSError):
            if variable in Path(f"/proc/{pid}/environ").read_bytes() and is_alive(pid):
                pids.add(pid)
    return pids
