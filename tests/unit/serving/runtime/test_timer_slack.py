from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from serving.runtime import timer_slack

SLACK = "import pathlib; print(pathlib.Path('/proc/self/timerslack_ns').read_text())"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such setting")
def test_what_a_thread_starts_has_its_slack_and_others_keep_theirs() -> None:
    def child() -> int:
        return int(subprocess.run([sys.executable, "-c", SLACK], capture_output=True, text=True, check=True).stdout)

    before, sharp = child(), []
    thread = threading.Thread(target=lambda: (timer_slack.reduce(), sharp.append(child())))
    thread.start()
    thread.join()
    assert sharp == [timer_slack.SLACK_NANOSECONDS] != [before]
    assert child() == before


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_slack.sys, "platform", "darwin")
    monkeypatch.setattr(timer_slack.ctypes, "CDLL", lambda name: pytest.fail("asked for prctl"))
    timer_slack.reduce()
