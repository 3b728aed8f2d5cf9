"""Failures before a container runs, for real: each is one sentence, and nothing is left behind."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from serving.docker import container, errors
from serving.docker.container import ContainerOptions
from serving.errors import DockerError
from tests.support import docker_host
from tests.support.server import free_port, run


@pytest.fixture
def leaky() -> Iterator[None]:
    """The SDK leaves its socket open where a connection fails; the command ends a moment later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def refused(client: docker.DockerClient, settings: ContainerOptions) -> str:
    """The sentence with which a launch is refused; it must leave no container."""
    before = {found.id for found in client.containers.list(all=True)}
    with pytest.raises(DockerError) as caught:
        container.launch(client, settings, lambda _: None)
    assert {found.id for found in client.containers.list(all=True)} == before
    return str(caught.value)


def test_refusals_are_sentences(
    client: docker.DockerClient, built: str, other_architecture: str, store: Path, tmp_path: Path
) -> None:
    port = free_port()

    def said(**changes: object) -> str:
        return refused(client, ContainerOptions(**{"store": store, "image": built, "port": port, **changes}))  # type: ignore[arg-type]

    assert said(image="absent:1") == "the image absent:1 does not exist: build it with `torchlight docker build`"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert f"port {port} on 127.0.0.1 is taken" in said()
    assert said(host="192.0.2.1").startswith("the Docker host does not have the address 192.0.2.1")
    assert "is built for linux/a" in said(image=other_architecture)
    unreadable = tmp_path / "model_store"
    shutil.copytree(store, unreadable)
    (unreadable / "digits-1.0.mar").chmod(0o600)
    assert "cannot be read by the user in the container" in said(store=unreadable)


@pytest.mark.skipif(
    bool(shutil.which("nvidia-smi") or shutil.which("nvidia-container-cli")), reason="this machine has NVIDIA's tools"
)
def test_gpu_flag_without_a_gpu_is_refused_in_one_sentence(
    client: docker.DockerClient, built: str, store: Path
) -> None:
    for gpus in ((), ("0", "1")):
        settings = ContainerOptions(store=store, image=built, port=free_port(), gpus=gpus)
        assert refused(client, settings).startswith("Docker has no NVIDIA runtime: install the NVIDIA Container")


def test_missing_daemon_and_missing_permission_are_explained(
    leaky: None, engine: docker_host.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(DockerError, match=r"^no Docker daemon answers at DOCKER_HOST=unix://.*: start it"):
        errors.connect()
    done = run(tmp_path, "scripts.docker", "stop", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no Docker daemon answers")
    # Another user, to whom the socket is closed.
    path = engine.url.removeprefix("unix://")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chmod(Path(path).parent, 0o755)  # noqa: PTH101
            os.setgroups([])
            os.setuid(65534)
            os.environ["DOCKER_HOST"] = engine.url
            errors.connect()
        except DockerError as error:
            status = 0 if "this user has no access to the Docker daemon" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
