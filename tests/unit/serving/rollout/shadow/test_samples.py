from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.rollout.shadow import samples
from serving.rollout.shadow.samples import HEAD, Sample, SampleServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SampleServer]:
    server = SampleServer(tmp_path / "s")
    yield server
    server.close()


@pytest.fixture
def worker(tmp_path: Path, server: SampleServer) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "s"))
        assert server.next(1) is None
        yield connection


def frame(body: bytes) -> bytes:
    document = json.dumps({"headers": {}, "status": 200, "answer_headers": {"A": "b"}, "dropped": 0}).encode()
    return HEAD.pack(len(document), len(body), 1) + document + body + b"a"


def test_samples_of_a_worker_come_in_order(server: SampleServer, worker: socket.socket) -> None:
    worker.sendall(frame(b"first") + frame(b""))
    assert server.next(1) == Sample({}, b"first", 200, {"a": "b"}, b"a")
    second = server.next(1)
    assert second is not None
    assert second.body == b""
    assert server.next(0.01) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        frame(b"cut")[:-2],
        HEAD.pack(2, 0, 0) + b"{}",
        HEAD.pack(2, 0, 0) + b"[]",
        HEAD.pack(3, 0, 0) + b"###",
        HEAD.pack(2**32 - 1, 0, 0),
    ],
)
def test_a_worker_that_sends_something_else_is_disconnected(
    server: SampleServer, worker: socket.socket, content: bytes
) -> None:
    worker.sendall(content)
    worker.shutdown(socket.SHUT_WR)
    assert server.next(1) is None
    assert worker.recv(1) == b""
    assert server.next(0.01) is None


def test_a_stopped_worker_does_not_hold_up_the_others(
    tmp_path: Path, server: SampleServer, worker: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "FRAME_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.connect(str(tmp_path / "s"))
        assert server.next(1) is None
        stopped.sendall(frame(b"stopped")[:-2])
        worker.sendall(frame(b"other"))
        received = [server.next(0.1) for _ in range(3)]
    assert [sample.body for sample in received if sample is not None] == [b"other"]


def test_a_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "s"))
    SampleServer(tmp_path / "s").close()
    assert not (tmp_path / "s").exists()
