"""Heavy predictions go to the workers that explain while their version has light ones (deploy/haproxy)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
import requests

from serving.proxy import haproxy
from tests.support.stub_backend import ProxyClient, running_proxy

ORDINARY, HEAVY = "/predictions/digits/1.0", "/predictions/digits-explain/1.0"
LARGE = bytes(haproxy.LARGE_BYTES + 1)
MIDDLE = bytes(haproxy.MOVABLE_BYTES + 1)


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    """A proxy for one test, so that its counts are not shared."""
    with running_proxy(explain_at_once=1) as running:
        yield running


def ask(proxy: ProxyClient, body: bytes, *, milliseconds: int, status: int = 200) -> list[str]:
    """Send a body whose response takes `milliseconds`; return the paths that the model server received."""
    proxy.script.asked.clear()
    proxy.script.status = status
    proxy.script.headers = {"X-Model-Version": "1.0"}
    if milliseconds >= haproxy.LIGHT_MS:  # as a worker says it
        proxy.script.headers["X-Torchlight-Cost"] = str(milliseconds)
    answer = requests.post(f"{proxy.url}/predictions/digits", data=body, timeout=30)
    assert "X-Torchlight-Cost" not in answer.headers
    assert answer.status_code == status if status == 200 else 503
    return list(proxy.script.asked)


def test_large_body_is_heavy_only_beside_light_predictions(proxy: ProxyClient) -> None:
    assert ask(proxy, LARGE, milliseconds=30) == [ORDINARY]
    assert ask(proxy, LARGE, milliseconds=30) == [ORDINARY]
    assert ask(proxy, b"light", milliseconds=1) == [ORDINARY]
    assert ask(proxy, LARGE, milliseconds=30) == [HEAVY]
    assert ask(proxy, b"light", milliseconds=1) == [ORDINARY]


def test_body_of_unknown_length_is_heavy(proxy: ProxyClient) -> None:
    ask(proxy, b"light", milliseconds=1)
    proxy.script.asked.clear()
    requests.post(f"{proxy.url}/predictions/digits", data=iter([b"chunk"]), timeout=30)
    assert proxy.script.asked == [HEAVY]


def test_first_body_of_middle_length_is_heavy_until_its_cost_is_known(proxy: ProxyClient) -> None:
    ask(proxy, b"light", milliseconds=1)
    assert ask(proxy, MIDDLE, milliseconds=5) == [HEAVY]
    assert ask(proxy, MIDDLE, milliseconds=5) == [ORDINARY]


def test_cost_of_a_source_decides_over_its_next_requests(proxy: ProxyClient) -> None:
    ask(proxy, b"light", milliseconds=1)
    for _ in range(2):
        assert ask(proxy, bytes(200_000), milliseconds=haproxy.VERY_HEAVY_MS) == [HEAVY]
        assert ask(proxy, bytes(20_000), milliseconds=haproxy.VERY_HEAVY_MS) == [ORDINARY], "the worker looks at it"
    assert ask(proxy, b"light", milliseconds=1) == [ORDINARY], "another length"
    ask(proxy, MIDDLE, milliseconds=50)
    assert ask(proxy, MIDDLE, milliseconds=haproxy.SHARE_MS) == [ORDINARY], "within its share"
    assert ask(proxy, MIDDLE, milliseconds=50) == [HEAVY]


def test_request_that_a_worker_hands_on_is_sent_to_the_heavy_workers(proxy: ProxyClient) -> None:
    ask(proxy, b"light", milliseconds=1)
    assert ask(proxy, b"a small file of many pixels", milliseconds=1, status=425) == [ORDINARY, HEAVY]
    assert ask(proxy, bytes(haproxy.MOVABLE_BYTES), milliseconds=1, status=425) == [ORDINARY, HEAVY]


@pytest.mark.parametrize(
    ("size", "paths"), [((1_023, 1_023), [ORDINARY]), ((1_024, 8), [ORDINARY, HEAVY]), ((8, 70_000), [ORDINARY, HEAVY])]
)
def test_small_png_is_sent_without_a_copy(proxy: ProxyClient, size: tuple[int, int], paths: list[str]) -> None:
    ask(proxy, b"light", milliseconds=1)
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + struct.pack(">II", *size)
    assert ask(proxy, header + b"the rest", milliseconds=1, status=425) == paths


def test_heavy_predictions_stay_when_there_are_no_explain_workers() -> None:
    with running_proxy(explain_at_once=0) as proxy:
        ask(proxy, b"light", milliseconds=1)
        assert ask(proxy, LARGE, milliseconds=500) == [ORDINARY]
        assert ask(proxy, LARGE, milliseconds=500) == [ORDINARY]
