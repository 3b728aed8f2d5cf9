"""The controller: runs every active rollout of one server, each in a thread of its own.

A lease, held for the life of the process, keeps a second controller out. The controller ends when no rollout is
active. If it is killed, the next one goes on from the records.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO

from models.golden import GoldenError
from models.release import ReleaseError
from serving.errors import ManagementError, ServingError, StartError
from serving.rollout import record as records
from serving.rollout.phase import RolloutPhase
from serving.rollout.phases import advance
from serving.rollout.phases.advance import LASTING
from serving.rollout.record import Record
from serving.rollout.rollout_run import RolloutRun, Surroundings
from serving.runtime import atomic_files
from torchlight_client import BrokenConnection, ErrorResponse, NoServer, TimedOut, TorchlightError

LEASE = "controller.lock"
POLL_SECONDS = 0.5
# A step that fails because something does not answer is tried again for so long.
RETRY_SECONDS = 30.0
RETRY_PAUSE_SECONDS = 1.0
# A rollback is tried for longer, because nothing else restores the old version.
ROLLBACK_SECONDS = 120.0

# Statuses of a server that is busy. A worker that dies or fails answers 500.
BUSY = (429, 502, 503, 504)

StepError = (ServingError, TorchlightError, GoldenError, ReleaseError, OSError)


class Controller:
    """The controller of one server.

    Args:
        folder: the server's folder.
        report: called with the record of a rollout at each transition, to write its report.
    """

    def __init__(self, folder: Path, around: Surroundings, report: Callable[[Record], object]) -> None:
        self._folder = folder
        self._around = around
        self._report = report
        self._threads: dict[str, threading.Thread] = {}

    def run(self) -> None:
        """Run rollouts until none is active.

        Raises:
            StartError: another controller runs.
        """
        with open(self._folder / records.FOLDER / LEASE, "w", opener=atomic_files.private) as lease:
            self._take(lease)
            while self._start_threads() or self._any_was_woken():
                time.sleep(POLL_SECONDS)
            for thread in self._threads.values():  # they still write reports
                thread.join()

    def _take(self, lease: IO[str]) -> None:
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError("another controller runs the rollouts of this server") from None
        lease.write(f"{os.getpid()}\n")
        lease.flush()

    def _start_threads(self) -> bool:
        """Start a thread for each active rollout that has none; return whether any is active."""
        active = records.active(self._folder)
        for record in active:
            thread = self._threads.get(record.id)
            if thread is None or not thread.is_alive():
                self._threads[record.id] = threading.Thread(target=self.follow, args=(record,), name=record.id)
                self._threads[record.id].daemon = True
                self._threads[record.id].start()
        return bool(active)

    def _any_was_woken(self) -> bool:
        """Remove the wake file; return whether a rollout started since the last look."""
        records.wake_file(self._folder).unlink(missing_ok=True)
        if records.active(self._folder):  # it started between the look and the removal
            records.wake_file(self._folder).touch()
            return True
        return False

    def follow(self, record: Record) -> None:
        """Run one rollout until it ends. Its report is written anew at each transition and each pause."""
        run = RolloutRun(record, self._around)
        patience = Patience(self._around.clock.monotonic)
        reported: tuple[object, ...] = ()
        while not run.rollout.phase.is_final:
            phase = run.rollout.phase
            if not step(run, patience):
                self._around.clock.sleep(RETRY_PAUSE_SECONDS)
            state = (run.rollout.phase, run.rollout.step, run.rollout.paused)
            if state != reported and (run.rollout.phase in LASTING or run.rollout.phase.is_final):
                self._write_report(record)
                reported = state
            if run.rollout.paused is not None or (phase in LASTING and run.rollout.phase is phase):
                self._around.clock.sleep(POLL_SECONDS)

    def _write_report(self, record: Record) -> None:
        try:
            self._report(record)
        except Exception as error:  # the report is evidence; its failure must not change a rollout
            self._around.log(f"{record.id}: no report could be written: {error}")


class Patience:
    """Time since a step began to fail."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: float | None = None

    def reset(self) -> None:
        """Begin anew, because a step succeeded."""
        self._since = None

    def lasts(self, seconds: float) -> bool:
        """Return whether steps have failed for less than so many seconds."""
        if self._since is None:
            self._since = self._monotonic()
        return self._monotonic() - self._since < seconds


def step(run: RolloutRun, patience: Patience) -> bool:
    """Look at a rollout once; return False if the step failed and is to be repeated.

    A step whose cause may pass is repeated: a server that does not answer, a full disk. Any other failure rolls back,
    and a rollback that keeps failing needs a person.
    """
    try:
        advance.advance(run)
    except StepError as error:
        _log(run, error)
        return _fail(run, patience, error, passing=_may_pass(error))
    except Exception as error:  # a fault of ours must not leave a candidate with traffic
        run.around.log(traceback.format_exc())
        return _fail(run, patience, error, passing=False)
    patience.reset()
    return True


def _may_pass(error: Exception) -> bool:
    """Return whether an error may go away by itself: nothing answers, the disk is full, or the server is busy."""
    if isinstance(error, ErrorResponse):
        return error.status in BUSY
    return isinstance(error, (ManagementError, OSError, NoServer, TimedOut, BrokenConnection))


def _fail(run: RolloutRun, patience: Patience, error: Exception, *, passing: bool) -> bool:
    reason = str(error) or type(error).__name__
    rolling_back = run.rollout.phase is RolloutPhase.ROLLING_BACK
    if patience.lasts(ROLLBACK_SECONDS if rolling_back else RETRY_SECONDS) and (passing or rolling_back):
        return False
    try:
        if rolling_back:
            run.rollout.reason = f"{run.rollout.reason}; the rollback failed: {reason}"
            run.end(RolloutPhase.NEEDS_HUMAN, reason=run.rollout.reason)
        else:
            run.roll_back(f"{run.rollout.phase.value}: {reason}")
    except OSError as full:  # the journal cannot be written
        _log(run, full)
        return False
    patience.reset()
    return True


def _log(run: RolloutRun, error: Exception) -> None:
    run.around.log(f"{run.rollout.id}: {run.rollout.phase.value} failed: {error}")
