from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from serving.runtime import processes
from serving.server import stopped_workers
from serving.server.stopped_workers import STOPPED_SECONDS, StoppedWorkers

Child = subprocess.Popen[bytes]


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopped_workers, "time", clock)
    return clock


@pytest.fixture
def stopped() -> Iterator[Child]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        running.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
        yield running
        running.kill()


def looks(workers: StoppedWorkers, clock: Clock, pid: int, seconds: float, step: float = 0.1) -> list[int]:
    """The processes that are overdue after so many seconds of looks."""
    end, overdue = clock.now + seconds, list[int]()
    while clock.now < end:
        clock.now += step
        overdue = workers.overdue([pid])
    return overdue


def test_worker_is_overdue_when_it_stays_stopped(clock: Clock, stopped: Child) -> None:
    workers = StoppedWorkers()
    assert looks(workers, clock, stopped.pid, STOPPED_SECONDS - 0.3) == []
    assert looks(workers, clock, stopped.pid, 0.8) == [stopped.pid]


def test_worker_that_continued_is_timed_from_zero(clock: Clock, stopped: Child) -> None:
    workers = StoppedWorkers()
    looks(workers, clock, stopped.pid, STOPPED_SECONDS - 0.3)
    stopped.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, stopped.pid, os.WCONTINUED | os.WNOWAIT)
    assert looks(workers, clock, stopped.pid, 5.0) == []
    stopped.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    assert looks(workers, clock, stopped.pid, STOPPED_SECONDS - 0.3) == []


def test_time_in_which_the_supervisor_was_stopped_too_does_not_count(clock: Clock, stopped: Child) -> None:
    workers = StoppedWorkers()
    workers.overdue([stopped.pid])
    clock.now += 3600
    assert workers.overdue([stopped.pid]) == []


def test_kill_is_limited_to_stopped_children_of_java(stopped: Child) -> None:
    assert not stopped_workers.kill(stopped.pid, java=1)
    assert processes.state(stopped.pid) == "T"
    assert stopped_workers.kill(stopped.pid, java=os.getpid())
    assert stopped.wait(5) == -signal.SIGKILL
    assert not stopped_workers.kill(stopped.pid, java=os.getpid())
