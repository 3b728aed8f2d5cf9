"""Ctrl-C and SIGTERM ask a training to stop; who asks again gets what the signal always did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.loop import interruption
from training.loop.interruption import Interrupted, Interruption


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signal counts at once."""
    monkeypatch.setattr(interruption, "SAME_SIGNAL_SECONDS", -1.0)


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_first_signal_requests_a_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as context:
        assert not context.requested
        os.kill(os.getpid(), number)
        assert context.requested
    assert signal.getsignal(number) is before


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Restore the default SIGINT: background jobs of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with Interruption() as context:
        os.kill(os.getpid(), signal.SIGINT)
        while not context.requested:  # another thread may have been given the signal; two that wait count as one
            time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_same_ctrl_c_that_comes_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "SAME_SIGNAL_SECONDS", 60.0)
    with Interruption() as context:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        assert context.requested


def test_a_second_sigterm_kills() -> None:
    code = (
        "import os, signal\nfrom training.loop import interruption\ninterruption.SAME_SIGNAL_SECONDS = -1.0\n"
        "with interruption.Interruption():\n    for _ in range(2):\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('alive')"
    )
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


def test_the_handlers_are_restored_when_the_training_fails() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broken"), Interruption():
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_asked_and_nothing_breaks() -> None:
    seen: list[bool] = []

    def work() -> None:
        with Interruption() as context:
            seen.append(context.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_report_says_where_training_stopped() -> None:
    assert str(Interrupted(3, 17, 40)) == "stopped in epoch 3, after batch 17 of 40"
