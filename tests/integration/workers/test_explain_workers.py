"""Explanations have workers, a queue and a deadline of their own, and predictions do not notice them."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from serving.proxy.routing import FILE_NAME as MAP
from serving.proxy.routing import SOCKET, Routing
from serving.rollout.journal import Journal
from serving.torchserve.worker_roles import Role, RoleCounts
from tests.support.server import PREDICT_ONLY, Server, free_port, run
from tests.support.version_commands import run_ok, run_versions

EXPLAIN = Role.EXPLAIN.registered_name("digits")
SAGEMAKER = {"X-Amzn-SageMaker-Custom-Attributes": "explain=true"}


def ask(server: Server, path: str, image: bytes, **headers: str) -> requests.Response:
    return requests.post(server.url + path, data=image, headers=headers, timeout=60)


def many(server: Server, path: str, image: bytes, count: int) -> requests.Response:
    """One request with the same image so many times."""
    files = [("image", (f"{n}.png", image, "image/png")) for n in range(count)]
    return requests.post(server.url + path, files=files, timeout=60)


def pids(server: Server, model: str) -> set[int]:
    return {pid for pid, status in server.workers(model) if status == "READY"}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in clock ticks (proc(5): utime)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")


@contextmanager
def flood(server: Server, image: bytes, clients: int, **headers: str) -> Iterator[list[requests.Response]]:
    """So many clients that ask for one explanation after the other; yields the answers so far."""
    stop, answers = threading.Event(), list[requests.Response]()

    def client() -> None:
        while not stop.is_set():
            answers.append(ask(server, "/explanations/digits", image, **headers))

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(clients):
            pool.submit(client)
        time.sleep(1)
        try:
            yield answers
        finally:
            stop.set()


def test_explain_workers_have_their_own_name_and_a_lower_priority(server: Server) -> None:
    (predicts,), (explains,), (unbatched,) = (pids(server, name) for name in RoleCounts().registered_names("digits"))
    assert len({predicts, explains, unbatched}) == 3
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in (predicts, unbatched)] == [own, own]
    threads = [int(thread.name) for thread in Path(f"/proc/{explains}/task").iterdir()]
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {19}
    assert "this worker explains, at niceness 19" in server.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the timer slack of another process")
def test_waits_of_java_and_its_workers_end_within_a_microsecond(server: Server) -> None:
    (java,), (predicts,) = server.children("java"), pids(server, "digits")
    assert [int(Path(f"/proc/{pid}/timerslack_ns").read_text()) for pid in (java, predicts)] == [1_000, 1_000]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/explanations/digits", {}),
        ("/explanations/digits/1.0", {"X-Explain-Deadline": "30000"}),
        ("/invocations", SAGEMAKER),
    ],
)
def test_explanation_routes_reach_the_explain_workers(
    server: Server, digit: dict[str, bytes], path: str, headers: dict[str, str]
) -> None:
    before = server.asked()[EXPLAIN]
    answer = ask(server, path, digit["3"], **headers)
    assert (answer.status_code, answer.json()["model"]) == (200, "digits")
    assert "target" in answer.json()
    assert server.asked()[EXPLAIN] == before + 1


def test_kserve_explanation_routes_reach_the_explain_workers(server: Server, digit: dict[str, bytes]) -> None:
    data = base64.b64encode(digit["3"]).decode()
    v1 = {"instances": [{"b64": data}]}
    v2 = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [data]}]}
    for path, body in (("/v1/models/digits:explain", v1), ("/v2/models/digits/explain", v2)):
        before = server.asked()[EXPLAIN]
        answer = requests.post(server.url + path, json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        assert server.asked()[EXPLAIN] == before + 1


@pytest.mark.parametrize(
    "path", ["/predictions/digits-explain", "/explanations/digits-explain/1.0", "/predictions/digits-unbatched"]
)
def test_explain_workers_cannot_be_requested_by_name(server: Server, digit: dict[str, bytes], path: str) -> None:
    answer = ask(server, path, digit["3"])
    assert (answer.status_code, answer.json()["type"]) == (404, "ModelNotFound")


def test_models_shows_them_in_the_row_of_their_version(server: Server) -> None:
    (row,) = json.loads(run_ok(server, "models", "--json"))
    shown = [row[name] for name in ("model", "version", "workers", "ready", "explaining", "unbatched")]
    assert shown == ["digits", "1.0", 1, 1, 1, 1]


def test_a_flood_of_explanations_fails_no_prediction(server: Server, digit: dict[str, bytes]) -> None:
    with flood(server, digit["3"], clients=30) as answers:
        predicted = [ask(server, "/predictions/digits", digit[str(n % 10)]) for n in range(50)]
    assert [answer.status_code for answer in predicted] == [200] * 50
    assert [answer.json()["predictions"][0]["label"] for answer in predicted] == [str(n % 10) for n in range(50)]
    assert {answer.status_code for answer in answers} == {200}, "and they are not starved"
    assert len(answers) > 30


def test_a_deadline_goes_before_others_and_one_that_is_over_is_answered_in_time(
    server: Server, digit: dict[str, bytes]
) -> None:
    with flood(server, digit["3"], clients=30):
        plain = ask(server, "/explanations/digits", digit["4"])
        urgent = ask(server, "/explanations/digits", digit["4"], **{"X-Explain-Deadline": "20000"})
    assert (plain.status_code, urgent.status_code) == (200, 200)
    assert urgent.elapsed < plain.elapsed / 2
    with flood(server, digit["3"], clients=30, **{"X-Explain-Deadline": "400"}) as answers:
        time.sleep(2)
    late = [answer for answer in answers if answer.status_code != 200]
    assert late, "30 at once take longer than that"
    assert {(answer.status_code, answer.json()["type"]) for answer in late} == {(504, "DeadlineExceeded")}
    assert max(answer.elapsed.total_seconds() for answer in late) < 1.5


def test_killed_explain_worker_disturbs_no_prediction_and_restarts(server: Server, digit: dict[str, bytes]) -> None:
    (victim,), (predicts,) = pids(server, EXPLAIN), pids(server, "digits")
    assert ask(server, "/explanations/digits", digit["4"]).status_code == 200, "and nothing is left from before"
    with ThreadPoolExecutor(1) as pool:
        idle = cpu_seconds(victim)
        doomed = pool.submit(many, server, "/explanations/digits", digit["3"], 64)
        while cpu_seconds(victim) < idle + 0.2:  # it has the request
            assert not doomed.done()
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)
        assert [ask(server, "/predictions/digits", digit["4"]).status_code for _ in range(20)] == [200] * 20
        assert (doomed.result().status_code, doomed.result().json()["type"]) == (500, "WorkerDied")
    deadline = time.monotonic() + 40
    while not (now := pids(server, EXPLAIN)) or now == {victim}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert ask(server, "/explanations/digits", digit["4"]).status_code == 200
    assert pids(server, "digits") == {predicts}


def test_predict_workers_explain_when_there_are_no_explain_workers(workspace: Path, digit: dict[str, bytes]) -> None:
    with Server(workspace, *PREDICT_ONLY) as server:
        registered = server.describe("/models")["models"]
        assert [entry["modelName"] for entry in registered] == ["digits"]
        for headers in ({}, {"X-Explain-Deadline": "30000"}):
            assert "target" in ask(server, "/explanations/digits", digit["3"], **headers).json()
        (row,) = json.loads(run_ok(server, "models", "--json"))
        assert (row["explaining"], row["unbatched"]) == (0, 0)


def test_explain_workers_come_and_go_with_their_version(served: Server, digit: dict[str, bytes]) -> None:
    run_ok(served, "register", "--version", "2.0")
    run_ok(served, "promote", "--version", "2.0")
    key = served.key("inference")
    direct = requests.post(f"{served.direct}/explanations/{EXPLAIN}", data=digit["3"], headers=key, timeout=60)
    assert direct.json()["version"] == "2.0", "TorchServe's default follows"
    with ThreadPoolExecutor(5) as pool:  # more of them could wait longer in the proxy than its 30 s on a busy machine
        asked = [pool.submit(many, served, "/explanations/digits/1.0", digit["3"], 32) for _ in range(5)]
        status = served.instance.status()
        assert status is not None
        proxy = Routing(served.instance.folder / MAP, Path(status.temp) / SOCKET)
        while proxy.in_flight("digits", "1.0") < 4:
            assert not any(request.done() for request in asked)
            time.sleep(0.02)
        run_ok(served, "retire", "--version", "1.0")
        answers = [request.result() for request in asked]
        assert [answer.status_code for answer in answers] == [200] * 5, [answer.text[:200] for answer in answers]
    steps = [entry["step"] for entry in Journal(served.instance.folder).entries() if entry["command"] == "retire"]
    assert steps == ["started", "closed", "drained", "unregistered", "done"]
    for name in RoleCounts().registered_names("digits"):
        registered = served.describe(f"/models/{name}/all")
        assert [entry["modelVersion"] for entry in registered] == ["2.0"]


def test_model_name_ending_in_explain_is_refused(served: Server) -> None:
    refused = run_versions(served, "register", "--model", EXPLAIN, "--version", "1.0")
    assert "names that end in '-explain' belong to workers of Torchlight's own" in refused.stderr
    store = served.workspace / "model_store"
    copy = store / f"{EXPLAIN}-1.0.mar"
    copy.write_bytes((store / "digits-1.0.mar").read_bytes())
    try:
        start = run(served.workspace, "scripts.serve", "--model", EXPLAIN, "--port", str(free_port()))
        assert start.returncode == 1
        assert f"model {EXPLAIN!r} cannot be served" in start.stderr
    finally:
        copy.unlink()
