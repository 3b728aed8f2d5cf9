"""The counts of two versions while the proxy splits their traffic, before a fake model server."""

from __future__ import annotations

import struct
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import requests

from serving.proxy.arm_counts import ArmCounts
from serving.proxy.traffic_split import Split, Sticky
from tests.support.stub_backend import ProxyClient, running_proxy

VERSIONS = "digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n"
PATH = "/predictions/digits"
FROM_WORKER = {"X-Model-Version": "2.0"}


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    """A proxy with two versions, and explain workers."""
    with running_proxy(versions=VERSIONS, explain_at_once=1) as running:
        yield running


def send(proxy: ProxyClient, path: str = PATH, body: bytes = b"an image", **headers: str) -> requests.Response:
    return requests.post(f"{proxy.url}{path}", data=body, headers=headers, timeout=30)


def counts(proxy: ProxyClient, version: str = "2.0") -> ArmCounts:
    return proxy.splits.counts("digits", version)


def test_without_a_split_nothing_is_counted(proxy: ProxyClient) -> None:
    for _ in range(5):
        send(proxy)
    assert proxy.script.asked == [f"{PATH}/1.0"] * 5
    assert counts(proxy, "1.0") == counts(proxy) == ArmCounts()


def test_requests_and_latencies_of_each_version_are_counted(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 0.5))
    for _ in range(60):
        send(proxy)
    sent = Counter(proxy.script.asked)
    for version in ("1.0", "2.0"):
        counted = counts(proxy, version)
        assert counted.requests == sent[f"{PATH}/{version}"] > 0
        assert sum(counted.latencies.values()) == counted.requests
        assert all(100 <= latency < 10_000_000 for latency in counted.latencies)
        assert (counted.errors, counted.slow, counted.referred) == (0, 0, 0)


def test_share_of_zero_only_counts(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 0.0))
    for _ in range(20):
        send(proxy)
    assert set(proxy.script.asked) == {f"{PATH}/1.0"}
    assert (counts(proxy, "1.0").requests, counts(proxy).requests) == (20, 0)


def test_cleared_split_counts_no_more(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    send(proxy)
    proxy.splits.clear("digits")
    send(proxy)
    assert proxy.script.asked == [f"{PATH}/2.0", f"{PATH}/1.0"]
    assert (counts(proxy, "1.0").requests, counts(proxy).requests) == (0, 1)


def test_candidate_that_is_not_registered_gets_nothing(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("3.0", 1.0, Sticky.COOKIE))
    answer = send(proxy)
    assert proxy.script.asked == [f"{PATH}/1.0"]
    assert "Set-Cookie" not in answer.headers
    assert counts(proxy, "1.0") == ArmCounts()


def test_default_version_is_counted_when_it_is_the_candidate(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("1.0", 0.3))
    for _ in range(20):
        send(proxy)
    assert set(proxy.script.asked) == {f"{PATH}/1.0"}
    assert counts(proxy, "1.0").requests == 20


@pytest.mark.parametrize("headers", [{}, {"X-Model-Version": "1.0"}])
def test_request_that_names_a_version_is_not_split(proxy: ProxyClient, headers: dict[str, str]) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    send(proxy, PATH if headers else f"{PATH}/1.0", **headers)
    assert proxy.script.asked == [f"{PATH}/1.0"]
    assert counts(proxy, "1.0") == counts(proxy) == ArmCounts()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/predictions/digits", "/predictions/digits/2.0"),
        ("/explanations/digits", "/explanations/digits-explain/2.0"),
        ("/v1/models/digits:predict", "/predictions/digits/2.0"),
        ("/v1/models/digits:explain", "/explanations/digits-explain/2.0"),
        ("/v2/models/digits/infer", "/predictions/digits/2.0"),
        ("/v2/models/digits/explain", "/explanations/digits-explain/2.0"),
        ("/invocations", "/predictions/digits/2.0"),
        ("/invocations?model_name=digits", "/predictions/digits/2.0"),
        ("/endpoints/digits/invocations", "/predictions/digits/2.0"),
    ],
)
def test_every_path_without_a_version_is_split(proxy: ProxyClient, path: str, asked: str) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    send(proxy, path)
    assert proxy.script.asked == [asked]
    assert counts(proxy).requests == 1


def test_error_of_a_worker_is_an_error(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    for status, is_handlers in ((200, True), (400, True), (500, True), (503, True), (500, False), (503, False)):
        proxy.answers(status, **(FROM_WORKER if is_handlers else {}))
    counted = counts(proxy)
    assert (counted.requests, counted.errors) == (6, 4)
    assert sum(counted.latencies.values()) == 6


def test_broken_connection_is_an_error(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    assert proxy.answers(0).status_code == 502
    assert (counts(proxy).requests, counts(proxy).errors) == (1, 1)


def test_deadline_that_the_proxy_answers_is_one_error(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0, slow_seconds=0.05))
    proxy.script.pause = 0.6
    answer = send(proxy, "/explanations/digits", **{"X-Explain-Deadline": "100"})
    assert answer.json()["type"] == "DeadlineExceeded"
    counted = counts(proxy)
    assert (counted.requests, counted.errors, counted.slow) == (1, 1, 1)


def test_explanation_with_a_deadline_counts_once(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    proxy.script.headers = {**FROM_WORKER, "X-Torchlight-Referred": "1"}
    answer = send(proxy, "/explanations/digits", **{"X-Explain-Deadline": "5000"})
    assert "X-Torchlight-Referred" not in answer.headers
    counted = counts(proxy)
    assert (counted.requests, counted.referred, sum(counted.latencies.values())) == (1, 1, 1)


def test_request_that_moves_to_other_workers_counts_once(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0))
    proxy.answers(200, **FROM_WORKER)  # the version has light predictions, so the next one can move
    proxy.script.asked.clear()
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2_000, 2_000)
    proxy.script.status, proxy.script.headers = 425, FROM_WORKER
    assert send(proxy, body=header).status_code == 503
    assert proxy.script.asked == [f"{PATH}/2.0", f"{PATH}-explain/2.0"]
    counted = counts(proxy)
    assert (counted.requests, counted.errors) == (2, 1)


def test_slow_responses_are_counted_by_the_limit_of_the_split(proxy: ProxyClient) -> None:
    proxy.script.pause = 0.05
    for limit, slow in ((None, 0), (10.0, 0), (0.04, 1)):
        before = counts(proxy)
        proxy.splits.set("digits", Split("2.0", 1.0, slow_seconds=limit))
        send(proxy)
        assert (counts(proxy) - before).slow == slow
    assert counts(proxy).quantile(0.5) >= 0.05


def test_referred_images_are_counted_and_clients_do_not_see_it(proxy: ProxyClient) -> None:
    for split in (None, Split("2.0", 1.0)):
        if split:
            proxy.splits.set("digits", split)
        answer = proxy.answers(200, **FROM_WORKER, **{"X-Torchlight-Referred": "1"})
        assert "X-Torchlight-Referred" not in answer.headers
    proxy.answers(200, **FROM_WORKER)
    assert (counts(proxy).requests, counts(proxy).referred) == (2, 1)


@pytest.mark.parametrize("sticky", [Sticky.HEADER, Sticky.COOKIE])
def test_sticky_client_has_one_bad_response_of_a_kind_in_an_interval(proxy: ProxyClient, sticky: Sticky) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0, sticky, slow_seconds=1e-6))
    proxy.script.status, proxy.script.headers = 500, {**FROM_WORKER, "X-Torchlight-Referred": "1"}
    for name in ("one", "two", "three"):
        client = requests.Session()
        for _ in range(4):
            client.post(f"{proxy.url}{PATH}", data=b"x", headers={"X-Client-Id": name}, timeout=30)
    counted = counts(proxy)
    # Two clients may get the same number as their cookie, 1 of 3,333 times.
    assert (counted.requests, counted.errors, counted.slow, counted.referred) == (12, 3, 3, 3)


def test_without_a_client_id_each_bad_response_counts(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 1.0, Sticky.HEADER))
    for _ in range(4):
        proxy.answers(500, **FROM_WORKER)
    assert counts(proxy).errors == 4


def test_cookie_keeps_a_client_with_one_version_of_each_candidate(proxy: ProxyClient) -> None:
    """The numbers of cookies are spread evenly: of 10,000, as many go to the candidate as the share says."""
    proxy.splits.set("digits", Split("2.0", 0.25, Sticky.COOKIE))
    for number in range(0, 10_000, 100):
        send(proxy, Cookie=f"other=1; torchlight-client={number}")
    assert Counter(proxy.script.asked)[f"{PATH}/2.0"] == 25


def test_single_predictions_of_the_candidate_go_to_its_unbatched_worker() -> None:
    unbatched = "digits/1.0 open\ndigits/2.0 open\n"
    with running_proxy(versions=VERSIONS, unbatched_map=unbatched) as proxy:
        send(proxy, f"{PATH}/2.0")
        proxy.splits.set("digits", Split("2.0", 1.0))
        send(proxy)
    assert proxy.script.asked == [f"{PATH}/2.0", "/predictions/digits-unbatched/2.0"]


def test_no_request_is_counted_twice_or_not_at_all_under_load(proxy: ProxyClient) -> None:
    proxy.splits.set("digits", Split("2.0", 0.5))

    def client() -> None:
        session = requests.Session()
        for _ in range(50):
            session.post(f"{proxy.url}{PATH}", data=b"x", timeout=30)

    clients = [threading.Thread(target=client) for _ in range(6)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    sent = Counter(proxy.script.asked)
    assert sum(sent.values()) == 300
    for version in ("1.0", "2.0"):
        assert counts(proxy, version).requests == sent[f"{PATH}/{version}"]
