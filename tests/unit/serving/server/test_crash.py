from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from serving.runtime import processes
from serving.server import crash
from serving.server.crash import Children, LastLines


def heard(*lines: str) -> LastLines:
    last = LastLines()
    for line in lines:
        last.feed(line)
    return last


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-26T15:39:37,671 ERROR [main] org.pytorch.serve.ModelServer - cannot bind",
        "[ALERT]    (77) : Binding [haproxy.cfg:40] for frontend f: cannot bind socket (Address already in use)",
        "java.lang.OutOfMemoryError: Java heap space",
        "# A fatal error has been detected by the Java Runtime Environment:",
        "RuntimeError: the port is taken",
    ],
)
def test_error_lines_are_shown(line: str) -> None:
    lines = heard("something before", line, "workers READY: 1 of 3", '{"time":"29/Nov","method":"GET","path":"ERROR"}')
    assert lines.error_lines() == [line]


def test_last_line_is_shown_without_error_lines() -> None:
    assert heard("one", "two").error_lines() == ["two"]
    assert LastLines().error_lines() == []


def test_crash_names_the_child_its_last_lines_the_log_and_the_restart_command() -> None:
    logged = list[str]()
    children = Children(logged.append, "torchlight serve --port 8090", ".run/8090/server.log")
    for name, program in (
        ("Java", "import time; time.sleep(60)"),
        ("HAProxy", "print('error: no port'); raise SystemExit(3)"),
    ):
        command = [sys.executable, "-c", program]
        listener = children.listener(name)
        children.add(name, processes.spawn(command, cwd=Path(), env=os.environ, on_line=listener))
    deadline = time.monotonic() + 10
    while not logged or (crashed := children.crash()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for child in children._processes.values():
        processes.end(child, patience=0)
    assert crashed == (
        3,
        "HAProxy ended with status 3; everything was stopped\nits last lines:\n  error: no port\n"
        "log: .run/8090/server.log\nstart again: torchlight serve --port 8090",
    )


def test_error_lines_are_limited_in_number_and_length() -> None:
    lines = heard("\n".join(f"error: {number} {'x' * 1000}" for number in range(200)))
    errors = lines.error_lines()
    assert [line.split()[1] for line in errors] == ["197", "198", "199"]
    assert max(map(len, errors)) == crash.MAX_WIDTH + 1
