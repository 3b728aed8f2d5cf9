"""Starting, stopping and dying: TorchServe's traps under 'life of a worker', against the real thing."""

from __future__ import annotations

import os
import shutil
import signal
import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.grpc

from tests.integration.conftest import batching
from tests.support.server import PREDICT_ONLY, TOKEN, Server, alive, free_port, run

# Workers that explain would answer at once what comes alone.


def wait_for(condition: object, seconds: float) -> None:
    """Poll until it holds; fails after so many seconds."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_sigterm_with_requests_in_flight_fails_none(workspace: Path, tmp_path: Path, digit: dict[str, bytes]) -> None:
    """TorchServe alone resets every connection within 10 ms of a SIGTERM."""
    with (
        Server(batching(workspace, tmp_path, size=64, delay_ms=2000), *PREDICT_ONLY) as server,
        ThreadPoolExecutor(40) as pool,
    ):

        def ask(number: int) -> requests.Response:
            verb = "explanations" if number % 4 == 0 else "predictions"
            return requests.post(f"{server.url}/{verb}/digits", data=digit[str(number % 10)], timeout=30)

        futures = [pool.submit(ask, number) for number in range(40)]
        time.sleep(1)
        assert not any(future.done() for future in futures), "they must be in flight for this to mean anything"
        server.process.send_signal(signal.SIGTERM)
        answers = [future.result() for future in futures]
        assert [answer.status_code for answer in answers] == [200] * 40
        assert [answer.json()["predictions"][0]["label"] for answer in answers] == [str(n % 10) for n in range(40)]
        assert server.process.wait(30) == 0
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url + "/ping", timeout=5)
        status = server.instance.status()
        assert status is not None
        assert not Path(status.temp).exists()


def test_sigterm_finishes_grpc_calls_in_flight(workspace: Path, tmp_path: Path, digit: dict[str, bytes]) -> None:
    with (
        Server(batching(workspace, tmp_path, size=64, delay_ms=2000), *PREDICT_ONLY) as server,
        ThreadPoolExecutor(20) as pool,
    ):
        address = f"127.0.0.1:{server.ports.public}"
        clients = [tritonclient.grpc.InferenceServerClient(address) for _ in range(20)]
        assert all(client.is_server_live() for client in clients), "connected, so that the calls leave at once"

        def ask(number: int) -> bytes:
            tensor = tritonclient.grpc.InferInput("image", [1], "BYTES")
            tensor.set_data_from_numpy(np.array([digit[str(number % 10)]], dtype=object))
            label: bytes = clients[number].infer("digits", [tensor]).as_numpy("label")[0, 0]
            return label

        futures = [pool.submit(ask, number) for number in range(20)]
        time.sleep(1)
        assert not any(future.done() for future in futures), "they must be in flight for this to mean anything"
        server.process.send_signal(signal.SIGTERM)
        assert [future.result() for future in futures] == [str(n % 10).encode() for n in range(20)]
        assert server.process.wait(30) == 0
        for client in clients:
            client.close()


def test_a_killed_worker_costs_its_batch_alone(workspace: Path, digit: dict[str, bytes]) -> None:
    with Server(workspace, *PREDICT_ONLY) as server, ThreadPoolExecutor(20) as pool:
        ((worker, status),) = server.workers()
        assert status == "READY"
        many = [("image", (f"{i}.png", digit[str(i % 10)], "image/png")) for i in range(64)]
        doomed = pool.submit(requests.post, f"{server.url}/explanations/digits", files=many, timeout=60)
        time.sleep(0.7)
        assert not doomed.done(), "it must be in the worker for this to mean anything"
        os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        others: list[Future[requests.Response]] = [
            pool.submit(requests.post, f"{server.url}/predictions/digits", data=digit["4"], timeout=60)
            for _ in range(10)
        ]
        answer = doomed.result()
        assert answer.status_code == 500
        assert answer.json()["type"] == "WorkerDied"
        assert [other.result().status_code for other in others] == [200] * 10
        wait_for(lambda: [s for _, s in server.workers()] == ["READY"], 30 - (time.monotonic() - killed))
        assert server.workers()[0][0] != worker
        assert server.process.poll() is None


@pytest.mark.parametrize(("name", "words"), [("java", "the model server (Java)"), ("haproxy", "the proxy (HAProxy)")])
def test_killed_child_process_ends_the_server_and_is_named(workspace: Path, name: str, words: str) -> None:
    with Server(workspace) as server:
        parts = server.children("java") + server.children("haproxy")
        workers = [pid for pid, _ in server.workers()]
        (victim,) = server.children(name)
        os.kill(victim, signal.SIGKILL)
        assert server.process.wait(30) == 128 + signal.SIGKILL
        assert f"{words} was killed by signal 9" in server.log()
        assert not any(alive(pid) for pid in parts + workers)
        status = server.instance.status()
        assert status is not None
        assert status.state == "failed"
        assert not server.instance.running()
        assert not Path(status.temp).exists()


def test_a_killed_supervisor_leaves_no_server_and_the_next_start_cleans_up(workspace: Path) -> None:
    with Server(workspace) as server:
        parts = server.children("java") + server.children("haproxy")
        workers = [pid for pid, _ in server.workers()]
        status = server.instance.status()
        assert status is not None
        trace = Path(status.temp) / "models" / "trace"
        trace.touch()
        server.process.kill()
        server.process.wait(10)
        wait_for(lambda: not any(alive(pid) for pid in parts + workers), 10)
        done = run(workspace, "scripts.serve", "--port", str(server.ports.public), "--model", "digits")
        assert done.returncode == 0, done.stderr
        assert not trace.exists()
        assert "READY in" in done.stdout
        assert f"curl -T samples/3.png {server.url}/predictions/digits" in done.stdout
        stopped = run(workspace, "scripts.stop", "--port", str(server.ports.public))
        assert stopped.stdout == f"stopped the server on port {server.ports.public}\n"


def broken(workspace: Path, folder: Path, name: str, change: object) -> Path:
    """A workspace with one archive, a member of which was changed."""
    assert callable(change)
    (folder / "model_store").mkdir()
    target = folder / "model_store" / "digits-1.0.mar"
    with zipfile.ZipFile(workspace / "model_store" / "digits-1.0.mar") as good, zipfile.ZipFile(target, "w") as bad:
        for member in good.namelist():
            content = good.read(member)
            bad.writestr(member, change(content) if member == name else content)
    return folder


def failing_start(folder: Path, *flags: str) -> str:
    """The one line that a start which fails ends in; nothing of it may be left."""
    with Server(folder, *flags, wait=False) as server:
        assert server.process.wait(60) == 1
        lines = [line for line in server.log().splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        status = server.instance.status()
        assert status is not None
        assert status.state == "failed"
        assert not Path(status.temp).exists()
        with pytest.raises(requests.ConnectionError):
            requests.get(server.url + "/ping", timeout=5)
    return lines[0]


def test_wrong_golden_answers_stop_the_start_with_their_reason(workspace: Path, tmp_path: Path) -> None:
    """TorchServe itself starts such a worker again and again, and calls the server healthy."""
    folder = broken(workspace, tmp_path, "golden/answers.json", lambda text: text.replace(b"0.9", b"0.1"))
    line = failing_start(folder)
    assert "models.golden.GoldenError: golden image" in line
    assert "expected 0.2" in line or "expected 0.1" in line


def test_changed_weights_stop_the_start_with_their_reason(workspace: Path, tmp_path: Path) -> None:
    folder = broken(workspace, tmp_path, "weights.safetensors", lambda data: data[:-4] + b"\0\0\0\0")
    assert "its SHA-256 is not the card's" in failing_start(folder)


def test_a_handler_that_raises_stops_the_start_with_its_python_error(workspace: Path, tmp_path: Path) -> None:
    folder = broken(
        workspace, tmp_path, "torchserve_handler.py", lambda code: code + b"\nraise RuntimeError('CUDA or not')\n"
    )
    assert "CUDA or not" in failing_start(folder)


def test_a_taken_port_stops_the_start_before_anything_runs(workspace: Path, server: Server) -> None:
    done = run(workspace, "scripts.serve", "--foreground", "--port", str(server.ports.public))
    assert done.returncode == 1
    taken = server.ports.public
    remedy = f"stop it with `torchlight stop --port {taken}`"
    assert done.stderr == f"error: a server already runs on port {taken}: {remedy}\n"
    done = run(workspace, "scripts.serve", "--foreground", "--port", str(taken - 1))
    assert done.returncode == 1
    assert f"error: port {taken} on 127.0.0.1 cannot be used" in done.stderr


def test_a_java_home_without_java_is_named(workspace: Path, tmp_path: Path) -> None:
    done = run(workspace, "scripts.serve", "--foreground", "--port", str(free_port()), JAVA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"error: JAVA_HOME is '{tmp_path}', and there is no bin/java in it")


def test_a_java_of_java_home_is_used(workspace: Path) -> None:
    from serving.torchserve.executables import java

    home = java().parents[1]
    with Server(workspace, JAVA_HOME=str(home)) as server:
        assert f"Java: {home}/bin/java" in server.log()


def test_production_asks_for_a_token(workspace: Path, production: Server, digit: dict[str, bytes]) -> None:
    url = f"{production.url}/predictions/digits"
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.post(url, data=digit["6"], headers=good, timeout=30).json()["predictions"][0]["label"] == "6"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        refused = requests.post(url, data=digit["6"], headers=headers, timeout=30)
        assert refused.status_code == 401
        assert refused.json()["type"] == "Unauthorized"
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert requests.get(production.url + "/ping", timeout=30).status_code == 200
    assert requests.get(f"{production.management}/models", timeout=30).status_code == 400, "TorchServe wants its own"
    assert TOKEN not in (production.instance.folder / "haproxy.cfg").read_text()
    asked = run(workspace, "scripts.predict", str(_sample(workspace)), "--port", str(production.ports.public))
    assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize(
    ("token", "complaint"),
    [("short", "has 5 characters, and fewer than 16"), ("schlüssel-0123456789", "has characters that a bearer")],
)
def test_token_that_cannot_be_used_is_refused_at_the_start(workspace: Path, token: str, complaint: str) -> None:
    done = run(workspace, "scripts.serve", "--mode", "production", "--port", str(free_port()), TORCHLIGHT_TOKEN=token)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: TORCHLIGHT_TOKEN {complaint}")


def _sample(workspace: Path) -> Path:
    return next((workspace / "releases/digits/1.0/golden").glob("*.png"))


def test_torchserve_answers_on_loopback_without_the_proxy(workspace: Path, digit: dict[str, bytes]) -> None:
    with Server(workspace, "--proxy", "0") as server:
        assert requests.post(f"{server.url}/predictions/digits", data=digit["9"], timeout=30).status_code == 400
        key = (server.instance.folder / "torchserve-token").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        answer = requests.post(f"{server.url}/predictions/digits", data=digit["9"], headers=headers, timeout=30)
        assert answer.json()["predictions"][0]["label"] == "9"
        assert "no proxy: no default versions" in server.log()
        file = f".run/{server.ports.public}/torchserve-token"
        assert f"TorchServe asks every client for its own token, which is new at each start: {file}" in server.log()
        assert f'curl -H "Authorization: Bearer $(cat {file})" -T samples/3.png' in server.log()
        assert server.children("haproxy") == []
        port = str(server.ports.public)
        asked = run(workspace, "scripts.predict", str(_sample(workspace)), "--port", port)
        assert asked.returncode == 0, asked.stderr
        assert run(workspace, "scripts.health", "--port", port).returncode == 0
        models = run(workspace, "scripts.versions", "models", "--port", port)
        assert f"error: the server on port {port} runs with --proxy=0, and versions need the proxy" in models.stderr
    done = run(
        workspace, "scripts.serve", "--foreground", "--proxy", "0", "--host", "0.0.0.0", "--port", str(free_port())
    )
    assert "error: --host=0.0.0.0 needs the proxy" in done.stderr


def test_two_versions_are_served_side_by_side_and_the_newest_is_asked_first(
    workspace: Path, tmp_path: Path, digit: dict[str, bytes]
) -> None:
    shutil.copytree(workspace / "releases", tmp_path / "releases")
    trained = run(tmp_path, "scripts.train", "--version", "2.0", "--epochs", "3")
    assert trained.returncode == 0, trained.stderr
    for version in ("1.0", "2.0"):
        assert run(tmp_path, "scripts.archive", "--version", version).returncode == 0
    with Server(tmp_path) as server:
        answer = requests.post(f"{server.url}/predictions/digits", data=digit["9"], timeout=30)
        assert answer.headers["X-Model-Version"] == "2.0"
    with Server(tmp_path, "--version", "1.0") as server:
        answer = requests.post(f"{server.url}/predictions/digits", data=digit["9"], timeout=30)
        assert answer.headers["X-Model-Version"] == "1.0"


def test_commands_name_what_is_wrong_with_their_image(workspace: Path, server: Server, tmp_path: Path) -> None:
    def error(image: str, *flags: str) -> str:
        done = run(workspace, "scripts.predict", image, "--port", str(server.ports.public), *flags)
        assert done.returncode == 1
        assert done.stdout == ""
        return done.stderr.strip()

    assert error(str(tmp_path)).startswith(f"error: the image is a folder ({tmp_path})")
    assert error("https://example.org/cat.png").startswith("error: the image is a URL (https://example.org/cat.png)")
    assert error("nothing.png") == "error: the image nothing.png: No such file or directory; give an image file"
    text = tmp_path / "text.png"
    text.write_text("hello")
    assert error(str(text)).startswith("error: 415 UnsupportedImage: the file's format is plain text")
    assert error(str(_sample(workspace)), "--model", "cats").startswith("error: 404 ModelNotFound")


def test_commands_say_when_no_server_runs(workspace: Path) -> None:
    port = str(free_port())
    done = run(workspace, "scripts.predict", str(_sample(workspace)), "--port", port)
    remedy = "check the URL, or start the server there (`torchlight serve`)"
    assert done.stderr.strip() == f"error: nothing answers at http://127.0.0.1:{port}: {remedy}"
    assert run(workspace, "scripts.stop", "--port", port).stdout == f"no server runs on port {port}\n"


def test_explain_writes_a_picture(workspace: Path, server: Server, tmp_path: Path) -> None:
    out = tmp_path / "why.png"
    port = str(server.ports.public)
    done = run(
        workspace, "scripts.explain", str(_sample(workspace)), "--port", port, "--out", str(out), "--target", "5"
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    assert '"source": "requested"' in done.stdout
