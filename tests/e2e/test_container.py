"""The container, for real: built, launched, attacked from inside and outside, killed in parts, and stopped."""

from __future__ import annotations

import ast
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
import requests
from docker.models.containers import Container

from serving.docker import container
from serving.docker.container import ContainerOptions
from serving.errors import ContainerEnded
from tests.support import docker_host
from tests.support.server import REPOSITORY, free_port, run

THREE = (REPOSITORY / "samples" / "3.png").read_bytes()


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Poll until it holds; returns how long that took, and fails after so many seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - began


def inside(running: Container, code: str) -> str:
    """Return what Python code prints in the container, run by the server's own user."""
    status, output = running.exec_run(["python", "-c", code])
    assert status == 0, output.decode()
    return str(output.decode().strip())


def kill(running: Container, word: str) -> int:
    """SIGKILL, inside, to every process whose command line has the word; returns how many there were."""
    code = f"""
import os, pathlib, signal
found = [p for p in pathlib.Path("/proc").glob("[0-9]*") if b"{word}" in (p / "cmdline").read_bytes()]
found = [p for p in found if int(p.name) not in (1, os.getpid())]
for process in found: os.kill(int(process.name), signal.SIGKILL)
print(len(found))"""
    return int(inside(running, code))


def healthy(running: Container) -> bool:
    return bool(running.exec_run(["python", "-m", "scripts.health"]).exit_code == 0)


def docker_says(running: Container) -> str:
    running.reload()
    return str(running.attrs["State"]["Health"]["Status"])


def predict(port: int, token: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"http://127.0.0.1:{port}/predictions/digits", data=THREE, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def running(
    engine: docker_host.Engine, client: docker.DockerClient, built: str, store: Path, port: int
) -> Iterator[Container]:
    """A container started by the command that `make docker-serve` calls, and removed by that of `make docker-stop`."""
    done = run(store.parent, "scripts.docker", "serve", "--port", str(port), DOCKER_HOST=engine.url)
    assert done.returncode == 0, done.stdout + done.stderr
    started = container.find(client, port)
    started.started_with = done.stdout
    yield started
    done = run(store.parent, "scripts.docker", "stop", "--port", str(port), DOCKER_HOST=engine.url)
    assert (done.returncode, done.stdout) == (0, f"stopped the container on port {port}\n"), done.stderr
    assert client.containers.list(all=True, filters={"name": f"torchlight-{port}"}) == []


def test_the_image_is_small_and_ships_nothing_that_builds(
    client: docker.DockerClient, built: str, running: Container, capsys: pytest.CaptureFixture[str]
) -> None:
    image = client.images.get(built)
    layers = [(layer["Size"] / 1e6, layer["CreatedBy"].removeprefix("/bin/sh -c ")) for layer in image.history()]
    with capsys.disabled():
        print(f"\nimage: {image.attrs['Size'] / 1e9:.2f} GB")
        for megabytes, made_by in sorted(layers, reverse=True)[:3]:
            print(f"  {megabytes:7.1f} MB  {made_by[:90] or 'the base image'}")
        sizes = "du -s --apparent-size --block-size=1MB /opt/venv/lib/python3*/site-packages/* | sort -rn | head -8"
        print(running.exec_run(["sh", "-c", sizes]).output.decode())
    assert image.attrs["Size"] <= 1.6e9
    absent = "import shutil, importlib.util; print([shutil.which(p) for p in ('gcc', 'cc', 'g++', 'clang', 'make')], "
    absent += "importlib.util.find_spec('pip'), importlib.util.find_spec('sklearn'))"
    assert inside(running, absent) == "[None, None, None, None, None] None None"
    caches = "import pathlib; print([str(p) for root in ('/root', '/wheelhouse', '/tmp', '/opt') "
    caches += "for p in pathlib.Path(root).rglob('*.whl') if os.access(root, os.R_OK)])"
    assert inside(running, "import os; " + caches) == "[]"
    labels = image.attrs["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Torchlight"
    assert labels["org.opencontainers.image.version"] != "0"


def test_a_cold_start_shows_its_progress(running: Container, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = running.started_with
    with capsys.disabled():
        print("\n" + words)
    in_order = ["model: digits 1.0", "workers READY: 0 of ", "READY in ", f"serving at http://127.0.0.1:{port}"]
    assert [word for word in in_order if word in words] == in_order
    assert float(words.partition("READY in ")[2].split()[0]) < 60


def test_container_answers(running: Container, port: int) -> None:
    answer = predict(port)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["label"] == "3"
    explained = requests.post(f"http://127.0.0.1:{port}/explanations/digits", data=THREE, timeout=60)
    assert explained.status_code == 200
    assert healthy(running)


def test_java_begins_with_the_cache_that_the_image_holds(
    client: docker.DockerClient, running: Container, port: int
) -> None:
    flags = "import pathlib; print([flag for path in pathlib.Path('/proc').glob('[0-9]*/cmdline') "
    flags += "for flag in path.read_text().split('\\0') if flag.startswith('-XX:AOTCache=/opt/venv/')])"
    (flag,) = ast.literal_eval(inside(running, flags))
    assert inside(running, f"import os; print(os.path.isfile({flag.partition('=')[2]!r}))") == "True"
    assert "[aot" not in "".join(container.logs(client, port, follow=False))  # where Java would say why it took it not


def test_inside_it_is_nobody_and_can_do_nothing(running: Container) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in inside(running, "print(open('/proc/1/status').read())").splitlines()
        if ":\t" in line
    )
    assert status["Name"].startswith("python"), "the supervisor is PID 1"
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_inside_it_writes_state_and_memory_only(running: Container) -> None:
    """Every folder there is was tried. /dev/shm and /dev/mqueue are memory, as /tmp is, and end with the container."""
    code = """
import json, os
writable, memory = [], {}
for line in open("/proc/mounts"):
    _, where, kind, how = line.split()[:4]
    memory[where] = kind in ("tmpfs", "mqueue")
    if where == "/": print("root:", how.split(",")[0])
for folder, names, _ in os.walk("/"):
    if folder == "/": names[:] = [n for n in names if n not in ("proc", "sys")]
    probe = os.path.join(folder, ".probe")
    try:
        open(probe, "w").close()
    except OSError:
        continue
    os.unlink(probe)
    if folder.startswith(("/tmp/", "/app/.run/")): continue
    writable.append((folder, memory.get(folder, False)))
print(json.dumps(sorted(writable)))"""
    root, found = inside(running, code).splitlines()
    assert root == "root: ro"
    assert json.loads(found) == [["/app/.run", False], ["/dev/mqueue", True], ["/dev/shm", True], ["/tmp", True]]
    refused = running.exec_run(["sh", "-c", "echo x > /app/model_store/evil.mar"])
    assert refused.exit_code != 0
    assert b"Read-only file system" in refused.output


def test_outside_only_the_front_proxy_answers(running: Container, port: int) -> None:
    listening = """
import pathlib
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for line in pathlib.Path(table).read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        address, _, port = local.partition(":")
        loopback = address.endswith("7F") or address == "0100007F" or address.endswith("01000000")
        loopback |= address.endswith("FFFF00000100007F")
        if state == "0A" and not loopback: print(int(port, 16))"""
    assert inside(running, listening) == "8080"
    running.reload()
    address = next(iter(running.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    for closed in (8081, 8082, 8085, 8086, 8087, 8088):
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((address, closed), timeout=2)
    assert running.attrs["NetworkSettings"]["Ports"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}],
    }
    for path in ("/models", "/models/digits", "/metrics", "/api-description", "/workflows"):
        assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 404, path


def test_a_killed_worker_is_replaced_and_the_health_check_sees_it(running: Container, port: int) -> None:
    assert kill(running, "model_service_worker") == 3, "one predicts, one explains, one is for single predictions"
    assert not healthy(running)
    wait_for(lambda: healthy(running), 60)
    assert predict(port).status_code == 200


def test_docker_itself_sees_workers_that_keep_dying(
    running: Container, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for(lambda: docker_says(running) == "healthy", 40)

    def ill() -> bool:
        kill(running, "model_service_worker")
        return docker_says(running) == "unhealthy"

    fell, rose = wait_for(ill, 90), wait_for(lambda: docker_says(running) == "healthy", 120)
    with capsys.disabled():
        print(f"\nunhealthy after {fell:.0f} s of dying workers, healthy {rose:.0f} s after the last one died")
    assert predict(port).status_code == 200


def test_killed_java_ends_the_container_which_is_then_started_again(
    client: docker.DockerClient, running: Container, port: int
) -> None:
    since = time.time()
    assert kill(running, "org.pytorch.serve.ModelServer") == 1
    wait_for(lambda: container.find(client, port).attrs["RestartCount"] == 1, 60)
    events = client.events(since=since, until=time.time(), filters={"event": "die"}, decode=True)
    assert [event["Actor"]["Attributes"]["exitCode"] for event in events] == ["137"]

    def answers() -> bool:
        try:
            return predict(port).status_code == 200
        except requests.ConnectionError:
            return False

    wait_for(answers, 60)
    assert "was killed by signal 9" in "".join(container.logs(client, port, follow=False))


def test_the_port_of_a_running_container_is_not_taken_from_it(
    engine: docker_host.Engine, running: Container, store: Path, port: int
) -> None:
    done = run(store.parent, "scripts.docker", "serve", "--port", str(port), DOCKER_HOST=engine.url)
    assert done.returncode == 1
    remedy = f"stop it with `torchlight docker stop --port {port}`"
    assert done.stderr == f"error: a container already serves on port {port}: {remedy}\n"


def test_stopping_in_production_fails_no_request_in_flight(
    client: docker.DockerClient, built: str, slow_store: Path
) -> None:
    settings = ContainerOptions(
        store=slow_store, image=built, port=free_port(), production=True, explain_workers=0, unbatched_worker=0
    )
    said: list[str] = []
    started = container.launch(client, settings, said.append)
    token = started.exec_run(["cat", f".run/{container.PORT}/token"]).output.decode().strip()
    assert len(token) > 30
    assert predict(settings.port).status_code == 401
    assert healthy(started), "it uses TorchServe's own token"
    with ThreadPoolExecutor(40) as pool:
        futures = [pool.submit(predict, settings.port, token) for _ in range(40)]
        time.sleep(1)
        assert not any(future.done() for future in futures), "they must be in flight for this to mean anything"
        assert container.stop(client, settings.port) == 0
        assert [future.result().status_code for future in futures] == [200] * 40
    again = container.launch(client, settings, said.append)
    assert again.exec_run(["cat", f".run/{container.PORT}/token"]).output.decode().strip() == token, "state stays"
    assert container.stop(client, settings.port) == 0


def test_a_start_that_fails_passes_on_status_and_last_words(
    engine: docker_host.Engine, client: docker.DockerClient, built: str, store: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "model_store"
    broken.mkdir()
    shutil.copy(store / "digits-1.0.mar", broken)
    with (broken / "digits-1.0.mar").open("r+b") as file:
        file.truncate(1000)
    broken.chmod(0o755)
    port = free_port()
    with pytest.raises(
        ContainerEnded, match=r"ended with status 1: .*digits-1\.0\.mar: not a complete \.mar"
    ) as caught:
        container.launch(client, ContainerOptions(store=broken, image=built, port=port), lambda _: None)
    assert caught.value.status == 1
    logs = run(tmp_path, "scripts.docker", "logs", "--no-follow", "--port", str(port), DOCKER_HOST=engine.url)
    assert "error: model_store/digits-1.0.mar: not a complete .mar" in logs.stdout
    assert "the container ended with status" in logs.stderr
    stopped = run(tmp_path, "scripts.docker", "stop", "--port", str(port), DOCKER_HOST=engine.url)
    assert stopped.returncode == 1
    assert "is removed; it had ended with status 1" in stopped.stderr
