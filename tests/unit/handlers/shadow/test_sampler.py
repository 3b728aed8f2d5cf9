from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from handlers.protocols import Response
from handlers.protocols.multipart import Part
from handlers.request import RawRequest
from handlers.shadow import sampler as module
from handlers.shadow.listener import file_of, find
from handlers.shadow.queue import SampleQueue
from handlers.shadow.sampler import Sampler
from serving.rollout.shadow import runner
from serving.rollout.shadow.samples import SampleServer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(module, "SEND_SECONDS", 0.005)


def ask(folder: Path, share: float = 1.0, version: str = "1.0") -> Path:
    path = folder / "samples.sock"
    document = {"model": "digits", "version": version, "share": share, "socket": str(path)}
    file_of(folder, "digits").write_text(json.dumps(document))
    return path


def request(body: bytes = b"image", **changes: Any) -> RawRequest:
    fields: dict[str, Any] = {"kind": "predict", "parts": (Part("body", body, ""),), "headers": {}}
    return RawRequest(**fields | {"request_id": uuid.uuid4().hex, "queue_seconds": 0.1} | changes)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def received(server: SampleServer, count: int) -> list[bytes]:
    bodies: list[bytes] = []
    deadline = time.monotonic() + 5
    while len(bodies) < count and time.monotonic() < deadline:
        sample = server.next(0.1)
        bodies += [] if sample is None else [sample.body]
    return bodies


def test_predictions_are_sent_to_the_listener(tmp_path: Path) -> None:
    server = SampleServer(ask(tmp_path))
    sampler = Sampler(tmp_path, "digits", "1.0")
    sampler.start()
    wait_until(lambda: sampler._below > 0)
    batch = [request(b"%d" % number) for number in range(3)]
    sampler.offer(batch, [Response(b"{}", {})] * 3)
    assert received(server, 3) == [b"0", b"1", b"2"]
    file_of(tmp_path, "digits").unlink()
    wait_until(lambda: sampler._below == 0)
    server.close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"kind": "explain"}, 200),
        ({"queue_seconds": None}, 200),
        ({"headers": {"x-torchlight-route": "v2-metadata"}}, 200),
        ({"headers": {"x-torchlight-shadow": "1"}}, 200),
        ({}, 425),
        ({}, 503),
        ({}, 504),
    ],
)
def test_other_requests_are_not_sampled(tmp_path: Path, changes: dict[str, Any], status: int) -> None:
    queue = SampleQueue()
    sampler = Sampler(tmp_path, "digits", "1.0", queue)
    sampler._below = 2**32
    sampler.offer([request(**changes)], [Response(b"{}", {}, HTTPStatus(status))])
    assert queue.take() is None
    sampler.offer([request()], [Response(b"{}", {}, HTTPStatus.BAD_REQUEST)])
    assert queue.take() is not None


def test_the_share_is_kept(tmp_path: Path) -> None:
    queue = SampleQueue(max_samples=10_000)
    sampler = Sampler(tmp_path, "digits", "1.0", queue)
    sampler._below = round(0.2 * 2**32)
    for _ in range(5000):
        sampler.offer([request()], [Response(b"{}", {})])
    sampled = sum(1 for _ in iter(queue.take, None))
    assert 850 < sampled < 1150  # 1,000 within 5 standard deviations


def test_nothing_is_sampled_without_a_listener(tmp_path: Path) -> None:
    """A killed controller leaves its file, and maybe a socket on which nobody listens."""
    path = ask(tmp_path)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    queue = SampleQueue()
    sampler = Sampler(tmp_path, "digits", "1.0", queue)
    sampler.start()
    time.sleep(0.2)
    sampler.offer([request()], [Response(b"{}", {})])
    assert (sampler._below, queue.take(), queue.dropped()) == (0, None, 0)


def test_a_listener_that_ends_is_replaced_by_the_next_one(tmp_path: Path) -> None:
    path = ask(tmp_path)
    first = SampleServer(path)
    sampler = Sampler(tmp_path, "digits", "1.0")
    sampler.start()
    wait_until(lambda: sampler._below > 0)
    first.next(1)
    first.close()

    def offered() -> bool:
        sampler.offer([request(b"lost")], [Response(b"{}", {})])
        return sampler._below == 0

    wait_until(offered)
    second = SampleServer(path)
    wait_until(lambda: sampler._below > 0)
    sampler.offer([request(b"next")], [Response(b"{}", {})])
    assert received(second, 1) == [b"next"]
    second.close()


def test_a_listener_that_does_not_read_delays_nobody(tmp_path: Path) -> None:
    server = SampleServer(ask(tmp_path))
    queue = SampleQueue(max_samples=8)
    sampler = Sampler(tmp_path, "digits", "1.0", queue)
    sampler.start()
    wait_until(lambda: sampler._below > 0)
    body, slowest = bytes(200_000), 0.0
    for _ in range(300):
        started = time.perf_counter()
        sampler.offer([request(body)], [Response(b"{}", {})])
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 0.05
    assert queue._dropped > 250
    file_of(tmp_path, "digits").unlink()
    wait_until(lambda: sampler._below == 0)
    server.close()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": "1.0"}', '{"version": "1.0", "share": "x", "socket": ""}']
)
def test_a_damaged_file_names_no_listener(tmp_path: Path, text: str) -> None:
    file_of(tmp_path, "digits").write_text(text)
    assert find(tmp_path, "digits", "1.0") is None


def test_only_workers_of_the_stable_version_are_asked(tmp_path: Path) -> None:
    ask(tmp_path, share=0.5, version="1.0")
    assert find(tmp_path, "digits", "2.0") is None
    listener = find(tmp_path, "digits", "1.0")
    assert listener is not None
    assert listener.share == 0.5


def test_the_controller_writes_where_workers_look(tmp_path: Path) -> None:
    assert runner.listener_file(tmp_path, "digits") == file_of(tmp_path, "digits")
