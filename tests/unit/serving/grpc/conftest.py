from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.unit.serving.grpc.fake_door import FakeDoor
from tests.unit.serving.grpc.gateway_process import Gateway


@pytest.fixture(scope="package")
def _running() -> Iterator[tuple[FakeDoor, Gateway]]:
    door = FakeDoor()
    gateway = Gateway(door.url, "--max-request-size", "200000", "--max-concurrent", "4")
    yield door, gateway
    gateway.close()
    door.close()


@pytest.fixture
def door(_running: tuple[FakeDoor, Gateway]) -> Iterator[FakeDoor]:
    door, plain = _running[0], _running[0].answer
    door.asked.clear()
    door.left.clear()
    door.entered = threading.Semaphore(0)
    yield door
    door.answer = plain
    door.release.set()
    door.release.clear()


@pytest.fixture
def gateway(_running: tuple[FakeDoor, Gateway]) -> Gateway:
    return _running[1]
