"""Order and deadlines of explanations in the proxy, before a stub of the model server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.stub_backend import ProxyClient, running_proxy


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    """A proxy that sends on one explanation at a time."""
    with running_proxy(explain_at_once=1) as running:
        running.script.pause = 0.3
        yield running


def explain(proxy: ProxyClient, deadline: str = "", path: str = "/explanations/digits") -> requests.Response:
    headers = {"X-Explain-Deadline": deadline} if deadline else {}
    return requests.post(proxy.url + path, data=b"an image", headers=headers, timeout=30)


def failed(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) - {"error"} == {"code", "type", "message"}
    assert answer.headers["X-Request-Id"]
    return answer.status_code, body["type"]


def test_deadlines_go_first_and_the_earliest_of_them_before_all(proxy: ProxyClient) -> None:
    finished: list[str] = []

    def ask(deadline: str) -> None:
        explain(proxy, deadline)
        finished.append(deadline)

    proxy.script.pause = 0.15  # none waits for longer than the proxy lets it
    with ThreadPoolExecutor(5) as pool:
        for deadline in ("", "", "20000", "10000"):  # the first is in work before the others come
            pool.submit(ask, deadline)
            time.sleep(0.03)
    assert finished == ["", "10000", "20000", ""]


def test_predictions_do_not_wait_for_explanations(proxy: ProxyClient) -> None:
    with ThreadPoolExecutor(3) as pool:
        queued = [pool.submit(explain, proxy) for _ in range(3)]
        time.sleep(0.05)
        began = time.monotonic()
        assert requests.post(f"{proxy.url}/predictions/digits", data=b"an image", timeout=30).status_code == 200
        assert time.monotonic() - began < 0.6
        assert not queued[-1].done()


@pytest.mark.parametrize("asked", ["header", "query"])
def test_a_deadline_that_is_over_is_answered_at_once_wherever_the_request_is(proxy: ProxyClient, asked: str) -> None:
    """In the worker, which takes longer than that, or still in the queue."""
    path = "/explanations/digits" + ("?deadline_ms=200" if asked == "query" else "")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: explain(proxy, "200" if asked == "header" else "", path), range(3)))
    for answer in answers:
        assert failed(answer) == (504, "DeadlineExceeded")
        assert 0.19 < answer.elapsed.total_seconds() < 0.29


def leave(proxy: ProxyClient) -> None:
    with pytest.raises(requests.Timeout):
        requests.post(f"{proxy.url}/explanations/digits", data=b"an image", timeout=0.2)


def run_out(proxy: ProxyClient) -> None:
    assert explain(proxy, "200").status_code == 504


@pytest.mark.parametrize("go", [leave, run_out])
def test_disconnected_clients_delay_nobody(proxy: ProxyClient, go: Callable[[ProxyClient], None]) -> None:
    with ThreadPoolExecutor(12) as pool:
        assert len(list(pool.map(go, [proxy] * 12))) == 12
    assert explain(proxy).status_code == 200, "behind twelve others it would have waited too long"


def test_a_wait_that_is_too_long_is_overloaded(proxy: ProxyClient) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: explain(proxy), range(6)))
    late = [failed(answer) for answer in answers if answer.status_code != 200]
    assert late
    assert set(late) == {(503, "Overloaded")}
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status_code == 503} == {"1"}


@pytest.mark.parametrize("path", ["/v1/models/digits:explain", "/v2/models/digits/explain"])
def test_kserves_clients_find_the_message_as_error(proxy: ProxyClient, path: str) -> None:
    answer = explain(proxy, "100", path)
    assert failed(answer) == (504, "DeadlineExceeded")
    assert answer.json()["error"] == answer.json()["message"]


@pytest.mark.parametrize("deadline", ["", "20000"])
@pytest.mark.parametrize(("status", "kind"), [(503, "Overloaded"), (404, "VersionNotFound"), (507, "WorkerDied")])
def test_torchserve_errors_in_the_explain_backend_have_our_error_shape(
    proxy: ProxyClient, status: int, kind: str, deadline: str
) -> None:
    proxy.script.status = status
    assert failed(explain(proxy, deadline))[1] == kind


def test_handler_errors_pass_the_explain_backend_unchanged(proxy: ProxyClient) -> None:
    proxy.script.headers, proxy.script.body = {"X-Model-Version": "1.0"}, b'{"mine":1}'
    for status in (200, 400, 503):
        proxy.script.status = status
        answer = explain(proxy, "20000")
        assert (answer.status_code, answer.content) == (status, b'{"mine":1}')


@pytest.mark.parametrize("deadline", ["0", "-1", "1e3", "soon", "12345678"])
def test_malformed_deadline_is_refused_by_the_handler(proxy: ProxyClient, deadline: str) -> None:
    assert explain(proxy, deadline).status_code == 200


def test_a_deadline_nothing_could_keep_still_gets_the_handlers_reason(proxy: ProxyClient) -> None:
    proxy.script.pause, proxy.script.status, proxy.script.headers = 0.02, 400, {"X-Model-Version": "1.0"}
    assert explain(proxy, "1").status_code == 400
