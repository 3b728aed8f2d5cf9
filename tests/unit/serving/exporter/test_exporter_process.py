from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.exporter import exporter_process
from serving.exporter.exporter_process import Exporter
from serving.runtime.instance import Instance, Ports


@pytest.fixture
def lines() -> list[str]:
    """Lines that the endpoint's process and its watcher print."""
    return []


@pytest.fixture
def exporter(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    """An endpoint whose process ends at once, with status 3."""
    monkeypatch.setattr(exporter_process, "command", lambda *arguments: [sys.executable, "-c", "raise SystemExit(3)"])
    instance = Instance(Ports(8080), tmp_path)
    instance.folder.mkdir()
    endpoint = Exporter(instance, lines.append, lines.append)
    yield endpoint
    endpoint.end()


def wait_for_end(exporter: Exporter) -> int:
    """The process id of the endpoint, once the process has ended."""
    assert exporter._child is not None
    exporter._child.wait(20)
    return exporter._child.pid


def test_process_that_ended_is_started_again(
    exporter: Exporter, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_process, "PAUSE_SECONDS", 0.0)
    assert exporter.keep_running() == []
    exporter.start(None)
    first = wait_for_end(exporter)
    (second,) = exporter.keep_running()
    assert second != first
    assert "the metrics endpoint ended with status 3; starting it again" in lines


def test_process_that_ends_at_once_is_not_started_over_and_over(exporter: Exporter) -> None:
    exporter.start(None)
    pid = wait_for_end(exporter)
    assert [exporter.keep_running() for _ in range(10)] == [[pid]] * 10


def test_command_names_the_proxy_only_where_there_is_one(tmp_path: Path) -> None:
    assert "--socket" not in exporter_process.command(Instance(Ports(9000), tmp_path), None, 1.5)
    words = exporter_process.command(Instance(Ports(9000), tmp_path), tmp_path / "haproxy.sock", 1.5)
    assert words[words.index("--socket") + 1] == str(tmp_path / "haproxy.sock")
    assert words[words.index("--port") + 1] == "9000"
    assert words[words.index("--start") + 1] == "1.5"
