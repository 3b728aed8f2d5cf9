from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.runtime import log
from serving.runtime.log import Log, StandardOutput
from serving.torchserve.process import LINE

# Logs, prints and fails, as a supervisor does; a process of its own, since the file becomes its standard output.
LOGGER = """
import sys
from pathlib import Path
from serving.runtime.log import Log, LogFile
log = Log(LogFile(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
for number in range(int(sys.argv[4])):
    log.write(f"line {number:06}")
log.close()
print("printed", flush=True)
raise SystemExit("error: at the end")
"""


class Output(StandardOutput):
    """Takes what it is told to take."""

    def __init__(self) -> None:
        self.written = b""
        self.limit = 1 << 30
        self.error: OSError | None = None
        self.gate = threading.Event()
        self.gate.set()

    def write(self, data: bytes) -> int:
        self.gate.wait()
        if self.error is not None:
            raise self.error
        accepted = data[: self.limit]
        self.written += accepted
        return len(accepted)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_logger(path: Path, max_bytes: int, backups: int, lines: int) -> None:
    ended = subprocess.run([sys.executable, "-c", LOGGER, path, str(max_bytes), str(backups), str(lines)])
    assert ended.returncode == 1


def test_lines_are_written_in_order() -> None:
    output = Output()
    lines = Log(output)
    for number in range(1000):
        lines.write(f"line {number} ✓\nand one more")
    lines.close()
    assert output.written.decode().splitlines() == [
        line for number in range(1000) for line in (f"line {number} ✓", "and one more")
    ]


def test_logger_lines_have_time_level_and_name() -> None:
    output = Output()
    lines = Log(output)
    supervisor = log.logger(lines, "supervisor")
    supervisor.info("workers READY: 1 of 3, 100 %")
    supervisor.error("stopped")
    lines.close()
    first, second = output.written.decode().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} INFO  supervisor - workers READY: 1 of 3, 100 %", first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} ERROR supervisor - stopped", second)
    assert log.message(first) == "workers READY: 1 of 3, 100 %"
    assert LINE.match(first), "TorchServe's lines have the same layout"


@pytest.mark.parametrize("line", ["", "error: no port", '{"time":"29/Nov","id":"a1"}', "supervisor - said nothing"])
def test_message_of_a_line_without_prefix_is_the_line(line: str) -> None:
    assert log.message(line) == line


def test_lines_during_a_full_disk_are_written_when_there_is_space_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "RETRY_SECONDS", 0.01)
    output = Output()
    lines = Log(output)
    lines.write("before")
    wait_for(lambda: output.written)
    output.error = OSError(28, "No space left on device")
    lines.write("while it was full")
    time.sleep(0.1)
    output.limit, output.error = 7, None  # a disk that takes half a line at first
    lines.write("after")
    lines.close()
    assert output.written == b"before\nwhile it was full\nafter\n"


def test_slow_disk_does_not_block_and_lost_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MAX_QUEUED_BYTES", 1000)
    output = Output()
    output.gate.clear()
    lines, start = Log(output), time.monotonic()
    for _ in range(5000):
        lines.write("0123456789012345678")
    assert time.monotonic() - start < 2
    output.gate.set()
    lines.close()
    text = output.written.decode().splitlines()
    assert text.count("0123456789012345678") == 50
    assert text[-1] == "4950 lines of the log are missing here: the disk was full or too slow"


def test_log_ends_although_its_disk_stays_full() -> None:
    output = Output()
    output.error = OSError(28, "No space left on device")
    lines = Log(output)
    lines.write("lost")
    start = time.monotonic()
    lines.close()
    assert time.monotonic() - start < 2


def test_log_keeps_its_content_over_a_restart_and_has_all_output(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text("a crash\n")
    path.chmod(0o644)
    run_logger(path, 1_000_000, 4, 2)
    assert path.read_text() == "a crash\nline 000000\nline 000001\nprinted\nerror: at the end\n"
    assert path.stat().st_mode & 0o777 == log.MODE == 0o600


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_log_rotates_and_its_size_is_bounded(tmp_path: Path, backups: int) -> None:
    run_logger(tmp_path / "server.log", 10_000, backups, 20_000)
    names = ["server.log", *(f"server.log.{number}" for number in range(1, backups + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert all((tmp_path / name).stat().st_size <= 10_100 for name in names)
    text = "".join((tmp_path / name).read_text() for name in reversed(names))
    lines = [line for line in text.splitlines() if line.startswith("line ")]
    last = [f"line {number:06}" for number in range(20_000)][-len(lines) :]
    assert lines == last, "in order, whole, and nothing is missing between the files"
    assert text.endswith("printed\nerror: at the end\n")


def test_log_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    program = LOGGER.replace('log.write(f"line {number:06}")', "log.write(input())")
    with subprocess.Popen(
        [sys.executable, "-c", program, path, "1000000", "1", "2"], stdin=subprocess.PIPE, text=True
    ) as logger:
        assert logger.stdin is not None
        logger.stdin.write("one\n")
        logger.stdin.flush()
        wait_for(lambda: path.exists() and path.read_text() == "one\n")
        path.unlink()
        logger.stdin.write("two\n")
        logger.stdin.flush()
        wait_for(lambda: path.exists() and "two" in path.read_text())
