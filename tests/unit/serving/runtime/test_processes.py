from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.runtime import processes


class Child:
    """A Python child started through the module under test, with the lines it said."""

    def __init__(self, code: str, folder: Path, gather_seconds: float = 0.0) -> None:
        self.lines: list[str] = []
        self.said = threading.Event()
        before = set(threading.enumerate())
        self.process = processes.spawn(
            [sys.executable, "-u", "-c", code],
            cwd=folder,
            env={**os.environ, "GREETING": "hello"},
            on_line=self.hear,
            gather_seconds=gather_seconds,
        )
        self.readers = set(threading.enumerate()) - before

    def hear(self, line: str) -> None:
        self.lines.append(line)
        self.said.set()

    def close(self) -> None:
        processes.end(self.process, patience=0)
        for reader in self.readers:
            reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def sleeper(folder: Path) -> Iterator[Child]:
    """A child that has a child of its own and says the number of that."""
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid); time.sleep(60)"
    child = Child(code, folder)
    assert child.said.wait(10)
    yield child
    child.close()


def test_lines_of_a_child_are_passed_on_in_order(folder: Path) -> None:
    code = "import os, sys; print(os.environ['GREETING']); sys.stderr.write('oops\\n'); print(os.getcwd(), end='')"
    child = Child(code, folder)
    assert child.process.wait(10) == 0
    child.close()
    assert child.lines == ["hello", "oops", str(folder.resolve())]


def test_binary_output_does_not_end_the_reading(folder: Path) -> None:
    child = Child("import sys; sys.stdout.buffer.write(b'\\xff\\nnext\\n')", folder)
    child.process.wait(10)
    child.close()
    assert child.lines == ["\ufffd", "next"]


def test_gathered_lines_come_in_few_calls_and_none_is_lost(folder: Path) -> None:
    # In pieces that end within a line, and a last line without an end.
    code = (
        "import sys, time\n"
        "text = ''.join(f'line {number}\\n' for number in range(5000)) + 'the last'\n"
        "for start in range(0, len(text), 997):\n"
        "    sys.stdout.write(text[start : start + 997]); sys.stdout.flush(); time.sleep(0.001)\n"
    )
    child = Child(code, folder, gather_seconds=0.02)
    assert child.process.wait(30) == 0
    child.close()
    assert "\n".join(child.lines).split("\n") == [*(f"line {number}" for number in range(5000)), "the last"]
    assert len(child.lines) < 50


def test_child_has_a_process_group_of_its_own(sleeper: Child) -> None:
    assert os.getpgid(sleeper.process.pid) == sleeper.process.pid != os.getpgid(0)


def test_end_kills_grandchildren(sleeper: Child) -> None:
    grandchild = int(sleeper.lines[0])
    processes.end(sleeper.process, patience=5)
    assert sleeper.process.returncode == -15
    assert gone(grandchild)


def gone(pid: int) -> bool:
    """Return whether a process ends within 5 s. A zombie has ended."""
    for _ in range(500):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_child_that_ignores_sigterm_is_killed(folder: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
    child = Child(code, folder)
    assert child.said.wait(10)
    processes.end(child.process, patience=0.1)
    assert child.process.returncode == -9
    child.close()


def test_end_can_be_called_twice(sleeper: Child) -> None:
    processes.end(sleeper.process, patience=5)
    processes.end(sleeper.process, patience=5)
    assert sleeper.process.returncode == -15


def test_children_die_with_their_parent(folder: Path) -> None:
    code = (
        "import sys, os, time; from pathlib import Path; from serving.runtime import processes\n"
        "child = processes.spawn(['sleep', '60'], cwd=Path('.'), env=os.environ, on_line=print)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[4]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


def test_orphans_are_reaped_and_own_children_are_not() -> None:
    own, stray = (subprocess.Popen(["sh", "-c", "exit 7"]) for _ in range(2))
    for child in (own, stray):
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    processes.reap([own.pid])
    assert own.wait() == 7
    processes.reap([])
    with pytest.raises(ChildProcessError):
        os.waitpid(stray.pid, 0)
    stray.wait()
