from __future__ import annotations

from pathlib import Path

import pytest

from serving.runtime import exit_status


@pytest.mark.parametrize(
    ("status", "kills", "words"),
    [
        (1, 0, "ended with status 1"),
        (0, 0, "ended with status 0"),
        (-11, 0, "was killed by signal 11 (SIGSEGV)"),
        (-9, 0, "was killed by signal 9 (SIGKILL): somebody sent it, or a memory limit was reached"),
        (-9, 2, "was killed by signal 9 (SIGKILL): memory ran out (the kernel killed 2 processes"),
        (-9, 1, "was killed by signal 9 (SIGKILL): memory ran out (the kernel killed 1 process)"),
        (-64, 0, "was killed by signal 64 (SIGRTMAX)"),
    ],
)
def test_exit_status_is_described_with_its_signal(status: int, kills: int, words: str) -> None:
    assert exit_status.describe(status, kills).startswith(words)


def test_kills_by_the_kernel_are_counted(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 3\nother 1\n")
    assert exit_status.oom_kills(tmp_path / "vmstat") == 3
    assert exit_status.oom_kills(tmp_path / "nothing") == 0
