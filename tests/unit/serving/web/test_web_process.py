from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.runtime.instance import Instance, Ports
from serving.web import web_process
from serving.web.web_process import WebProcess


@pytest.fixture
def lines() -> list[str]:
    """Lines that the web process and its watcher print."""
    return []


@pytest.fixture
def web(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[WebProcess]:
    """A web process that ends at once, with status 3."""
    monkeypatch.setattr(web_process, "command", lambda *arguments: [sys.executable, "-c", "raise SystemExit(3)"])
    instance = Instance(Ports(8080), tmp_path)
    instance.folder.mkdir()
    process = WebProcess(instance, lines.append, lines.append)
    yield process
    process.end()


def wait_for_end(web: WebProcess) -> int:
    """The id of the web process, once it has ended."""
    assert web._child is not None
    web._child.wait(20)
    return web._child.pid


def test_process_that_ended_is_started_again(
    web: WebProcess, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_process, "PAUSE_SECONDS", 0.0)
    assert web.keep_running() == []
    web.start(None)
    first = wait_for_end(web)
    (second,) = web.keep_running()
    assert second != first
    assert "the web process ended with status 3; starting it again" in lines


def test_process_that_ends_at_once_is_not_started_over_and_over(web: WebProcess) -> None:
    web.start(None)
    pid = wait_for_end(web)
    assert [web.keep_running() for _ in range(10)] == [[pid]] * 10


def test_command_names_the_proxy_only_where_there_is_one(tmp_path: Path) -> None:
    assert "--socket" not in web_process.command(Instance(Ports(9000), tmp_path), None, 1.5)
    words = web_process.command(Instance(Ports(9000), tmp_path), tmp_path / "haproxy.sock", 1.5)
    assert words[words.index("--socket") + 1] == str(tmp_path / "haproxy.sock")
    assert words[words.index("--port") + 1] == "9000"
    assert words[words.index("--start") + 1] == "1.5"
