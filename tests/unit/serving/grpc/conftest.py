from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.unit.serving.grpc.fake_proxy import FakeProxy
from tests.unit.serving.grpc.gateway_process import Gateway


@pytest.fixture(scope="package")
def _running() -> Iterator[tuple[FakeProxy, Gateway]]:
    proxy = FakeProxy()
    gateway = Gateway(proxy.url, "--max-request-size", "200000", "--max-concurrent", "4")
    yield proxy, gateway
    gateway.close()
    proxy.close()


@pytest.fixture
def proxy(_running: tuple[FakeProxy, Gateway]) -> Iterator[FakeProxy]:
    proxy, plain = _running[0], _running[0].answer
    proxy.requests.clear()
    proxy.left.clear()
    proxy.entered = threading.Semaphore(0)
    yield proxy
    proxy.answer = plain
    proxy.release.set()
    proxy.release.clear()


@pytest.fixture
def gateway(_running: tuple[FakeProxy, Gateway]) -> Gateway:
    return _running[1]
