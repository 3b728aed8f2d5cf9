from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from serving.runtime import timer_slack

SLACK = "import pathlib; print(pathlib.Path('/proc/self/timerslack_ns').read_text())"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such setting")
def test_timer_slack_is_passed_on_to_what_the_thread_starts() -> None:
    def child() -> int:
        return int(subprocess.run([sys.executable, "-c", SLACK], capture_output=True, text=True, check=True).stdout)

    before, sharp = child(), []
    thread = threading.Thread(target=lambda: (timer_slack.reduce(), sharp.append(child())))
    thread.start()
    thread.join()
    assert sharp == [timer_slack.SLACK_NANOSECONDS] != [before]
    assert child() == before


def test_timer_slack_is_unchanged_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_slack.sys, "platform", "darwin")
    monkeypatch.setattr(timer_slack.ctypes, "CDLL", lambda name: pytest.fail("asked for prctl"))
    timer_slack.reduce()
