"""Health checks tell the truth, and requests go on, while predict workers are stopped or gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import requests
from grpc_health.v1 import health_pb2 as pb

from tests.integration.server.test_server_lifecycle import wait_for
from tests.support.server import Server


@pytest.fixture
def healthy(server: Server) -> Iterator[Server]:
    """The shared server, with all of its workers READY before and after."""
    yield server
    wait_for(lambda: {status for _, status in server.all_workers()} == {"READY"}, 60)
    wait_for(lambda: get(server, "/ping").status_code == 200, 10)


def get(server: Server, path: str) -> requests.Response:
    return requests.get(server.url + path, timeout=30)


def replaced(server: Server, worker: int, name: str = "digits") -> bool:
    ((pid, status),) = server.workers(name)
    return pid != worker and status == "READY"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_readiness_follows_the_predict_worker_while_the_unbatched_worker_answers(
    healthy: Server, digit: dict[str, bytes], number: signal.Signals
) -> None:
    ((worker, _),) = healthy.workers()
    statuses, ended = list[int](), threading.Event()

    def watch() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{healthy.ports.public}") as channel:
            stream = channel.unary_stream(
                "/grpc.health.v1.Health/Watch",
                request_serializer=pb.HealthCheckRequest.SerializeToString,
                response_deserializer=pb.HealthCheckResponse.FromString,
            )(pb.HealthCheckRequest(), timeout=90)
            for answer in stream:
                statuses.append(answer.status)
                if statuses == [1, 2, 1]:
                    break
            ended.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    wait_for(lambda: statuses == [pb.HealthCheckResponse.SERVING], 10)
    os.kill(worker, number)
    wait_for(lambda: get(healthy, "/ping").status_code == 503, 2)
    for path in ("/ping", "/v2/health/ready", "/v1/models/digits", "/v2/models/digits/ready"):
        answer = get(healthy, path)
        assert (answer.status_code, answer.json()["type"]) == (503, "NotReady"), path
        assert "digits 1.0 has no READY predict worker" in answer.json()["message"]
    assert get(healthy, "/v2/health/live").status_code == 200
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: requests.post(f"{healthy.url}/predictions/digits", data=digit["4"], timeout=30), range(12)
            )
        )
    assert [answer.json()["predictions"][0]["label"] for answer in answers] == ["4"] * 12
    wait_for(lambda: replaced(healthy, worker), 60)  # a stopped worker is killed, and there is a new one
    wait_for(lambda: get(healthy, "/ping").status_code == 200, 5)
    assert ended.wait(5)
    assert statuses == [pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING, 1]


@pytest.mark.parametrize("name", ["digits-explain", "digits-unbatched"])
def test_a_stopped_worker_of_another_role_holds_up_few(healthy: Server, digit: dict[str, bytes], name: str) -> None:
    ((worker, _),) = healthy.workers(name)
    os.kill(worker, signal.SIGSTOP)
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: requests.post(f"{healthy.url}/predictions/digits", data=digit["4"], timeout=60), range(40)
            )
        )
    assert sum(answer.status_code != 200 for answer in answers) <= 1, "at most the request that the worker had"
    assert time.monotonic() - start < 30, "TorchServe itself waits 60 s"
    assert get(healthy, "/ping").status_code == 200
    wait_for(lambda: replaced(healthy, worker, name), 60)


def test_a_hung_supervisor_is_not_ready(healthy: Server) -> None:
    healthy.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: get(healthy, "/ping").status_code == 503, 15)
        assert "the supervisor has not said" in get(healthy, "/v2/health/ready").json()["message"]
        assert get(healthy, "/v2/health/live").status_code == 200
    finally:
        healthy.process.send_signal(signal.SIGCONT)
    wait_for(lambda: get(healthy, "/ping").status_code == 200, 5)
