"""A prediction without company waits for no batch: the proxy sends it to a worker that is there for those."""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from serving.proxy import haproxy
from tests.integration.conftest import batching
from tests.support.server import Server
from tests.support.stub_backend import ProxyClient, running_proxy
from tests.support.version_commands import run_ok

UNBATCHED = "digits-unbatched"
DELAY_MS = 500
# A request that joins a batch later waits less than the first of that batch.
WAITED_MS = 0.7 * DELAY_MS


@pytest.fixture(scope="module")
def patient(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose batches wait for company for half a second."""
    folder = batching(workspace, tmp_path_factory.mktemp("patient"), size=8, delay_ms=DELAY_MS)
    with Server(folder) as running:
        yield running


def predict(server: Server, image: bytes, path: str = "/predictions/digits") -> requests.Response:
    return requests.post(server.url + path, data=image, timeout=60)


def told(server: Server, before: Counter[str]) -> Counter[str]:
    """Return how many requests each registration has got since."""
    return server.asked() - before


def together(server: Server, image: bytes, count: int) -> list[requests.Response]:
    barrier = threading.Barrier(count)

    def ask(_: int) -> requests.Response:
        barrier.wait(10)
        return predict(server, image)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def test_alone_it_is_answered_at_once_and_in_company_after_the_batch_has_filled_or_not(
    patient: Server, digit: dict[str, bytes]
) -> None:
    alone = [predict(patient, digit["3"]) for _ in range(5)]
    in_company = together(patient, digit["3"], 4)
    assert [answer.status_code for answer in (*alone, *in_company)] == [200] * 9
    assert max(answer.elapsed.total_seconds() for answer in alone) < WAITED_MS / 1000
    waited = [answer.elapsed.total_seconds() * 1000 >= WAITED_MS for answer in in_company]
    assert sum(waited) >= 3, "the first of them may have been alone"


def test_both_give_the_same_answer(patient: Server, digit: dict[str, bytes]) -> None:
    before = patient.asked()
    alone = predict(patient, digit["7"])
    answers = [alone, *together(patient, digit["7"], 4)]
    assert set(told(patient, before)) == {"digits", UNBATCHED}
    bodies = [answer.json() for answer in answers]
    for body in bodies:
        body.pop("request_id")
    assert all(body == bodies[0] for body in bodies)
    headers = ("Content-Type", "X-Model-Version", "X-Model-Engine")
    assert len({tuple(answer.headers[name] for name in headers) for answer in answers}) == 1


def test_unbatched_worker_gets_every_prediction_route_and_no_other(patient: Server, digit: dict[str, bytes]) -> None:
    data = base64.b64encode(digit["3"]).decode()
    v2 = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [data]}]}
    before = patient.asked()
    for path in ("/predictions/digits", "/predictions/digits/1.0", "/invocations"):
        assert predict(patient, digit["3"], path).status_code == 200
    v1 = {"instances": [{"b64": data}]}
    assert requests.post(f"{patient.url}/v1/models/digits:predict", json=v1, timeout=60).status_code == 200
    assert requests.post(f"{patient.url}/v2/models/digits/infer", json=v2, timeout=60).status_code == 200
    assert told(patient, before) == {UNBATCHED: 5}
    before = patient.asked()
    for path in ("/v1/models/digits", "/v2/models/digits/ready", "/v2/models/digits"):
        assert requests.get(patient.url + path, timeout=60).status_code == 200
    assert told(patient, before) == {"digits": 1}, "the proxy says whether a model is ready, a worker what it is"


def test_batch_workers_answer_while_the_unbatched_worker_is_down(patient: Server, digit: dict[str, bytes]) -> None:
    (victim,) = [pid for pid, _ in patient.workers(UNBATCHED)]
    os.kill(victim, signal.SIGKILL)
    time.sleep(0.5)  # within a tenth of that the supervisor has seen it
    before = patient.asked()
    answers = [predict(patient, digit["4"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert told(patient, before) == {"digits": 3}
    deadline = time.monotonic() + 60
    while predict(patient, digit["4"]).elapsed.total_seconds() * 1000 >= WAITED_MS:
        assert time.monotonic() < deadline, "it comes back by itself"
    (again,) = [pid for pid, _ in patient.workers(UNBATCHED)]
    assert again != victim


def test_unbatched_worker_serves_the_default_version_and_follows_a_promotion(
    served: Server, digit: dict[str, bytes]
) -> None:
    run_ok(served, "register", "--version", "2.0")
    time.sleep(0.5)
    before = served.asked()
    assert predict(served, digit["3"], "/predictions/digits/2.0").json()["version"] == "2.0"
    assert told(served, before) == {"digits": 1}, "as it will predict when it is promoted"
    run_ok(served, "promote", "--version", "2.0")
    before = served.asked()
    assert predict(served, digit["3"]).json()["version"] == "2.0"
    assert told(served, before) == {UNBATCHED: 1}


# ---- the proxy's rules, before a model server of the test's own


@pytest.fixture
def proxy() -> Iterator[ProxyClient]:
    with running_proxy(explain_at_once=1, unbatched_map="digits/1.0 open\n") as running:
        yield running


def test_unbatched_worker_gets_one_of_several_concurrent_requests(proxy: ProxyClient) -> None:
    proxy.script.pause = 0.2
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: proxy.answers(200), range(5)))
    assert sorted(proxy.script.asked) == ["/predictions/digits-unbatched/1.0"] + ["/predictions/digits/1.0"] * 4


def test_explanations_are_no_company(proxy: ProxyClient) -> None:
    proxy.script.pause = 0.3
    with ThreadPoolExecutor(1) as pool:
        for headers in ({}, {"X-Explain-Deadline": "5000"}):
            explained = pool.submit(
                requests.post, f"{proxy.url}/explanations/digits", data=b"an image", headers=headers, timeout=30
            )
            time.sleep(0.1)
            assert proxy.answers(200).status_code == 200
            assert explained.result().status_code == 200
    asked = ["/explanations/digits-explain/1.0", "/predictions/digits-unbatched/1.0"]
    assert proxy.script.asked == asked * 2


def test_unbatched_worker_gets_nothing_without_a_map_entry() -> None:
    for unbatched_map in ("", "pets/1.0 open\n", "digits/2.0 open\n"):
        with running_proxy(explain_at_once=1, unbatched_map=unbatched_map) as proxy:
            proxy.answers(200)
            assert proxy.script.asked == ["/predictions/digits/1.0"]


@pytest.mark.parametrize("status", [500, 503, 507])
def test_unbatched_worker_rests_after_it_broke_a_request(proxy: ProxyClient, status: int) -> None:
    alone, in_company = "/predictions/digits-unbatched/1.0", "/predictions/digits/1.0"
    for found in (422, 500, 503):
        proxy.answers(found, **{"X-Model-Version": "1.0"})
    assert proxy.script.asked == [alone] * 3, "what the handler answers is no sign of a broken worker"
    assert proxy.answers(status).status_code in (500, 503)
    proxy.answers(200)
    assert proxy.script.asked == [alone] * 4 + [in_company]


def test_and_then_they_are_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "UNBATCHED_PAUSE_SECONDS", 1)
    with running_proxy(explain_at_once=1, unbatched_map="digits/1.0 open\n") as proxy:
        proxy.answers(500)
        proxy.answers(200)
        time.sleep(2.1)
        proxy.answers(200)
        paths = [f"/predictions/{name}/1.0" for name in ("digits-unbatched", "digits", "digits-unbatched")]
        assert proxy.script.asked == paths
