"""A rollout inside the container, as docs/guides/container.md shows it, and what a kill leaves of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import docker
import pytest
import requests

from models.release import Release
from serving.artifacts.archive import archive
from serving.artifacts.model_config import ModelConfig
from serving.docker import container
from serving.docker.container import ContainerOptions
from tests.e2e.test_container import kill, wait_for
from tests.support.server import REPOSITORY, free_port

THREE = (REPOSITORY / "samples" / "3.png").read_bytes()


@pytest.fixture
def two_versions(release: Release, store: Path, tmp_path: Path) -> Path:
    """A store with `digits` 1.0, and the same network once more as 2.0."""
    root = tmp_path / "model_store"
    shutil.copytree(store, root)
    folder = tmp_path / "2.0"
    shutil.copytree(release.folder, folder)
    card = release.card.model_copy(update={"version": "2.0"})
    card.save(folder)
    archive(Release(folder, card), ModelConfig(), root)
    tmp_path.chmod(0o755)
    return root


def test_promotion_in_a_container_survives_kill_9(client: docker.DockerClient, built: str, two_versions: Path) -> None:
    settings = ContainerOptions(store=two_versions, image=built, port=free_port(), version="1.0", model="digits")
    running = container.launch(client, settings, lambda _: None)
    for command in ("register", "promote"):
        status, said = running.exec_run(["python", "-m", "scripts.versions", command, "--version", "2.0"])
        assert status == 0, said.decode()
    assert version(settings.port) == "2.0"

    # It crashes: Docker starts it again with the flags of its launch, --version 1.0 among them.
    assert kill(running, "org.pytorch.serve.ModelServer") == 1
    wait_for(lambda: container.find(client, settings.port).attrs["RestartCount"] == 1, 60)
    wait_for(lambda: answers(settings.port), 60)
    assert version(settings.port) == "2.0"

    # It is killed and launched anew, without a version.
    running.kill()
    again = ContainerOptions(store=two_versions, image=built, port=settings.port)
    container.launch(client, again, lambda _: None)
    assert version(settings.port) == "2.0"
    assert container.stop(client, settings.port) == 0


def answers(port: int) -> bool:
    """Return whether the server is up. Nothing can be run in a container that is restarting."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/v2/models/digits/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def version(port: int) -> str:
    """Return the version that answers a request without a version."""
    answer = requests.post(f"http://127.0.0.1:{port}/predictions/digits", data=THREE, timeout=30)
    assert answer.status_code == 200
    return answer.headers["X-Model-Version"]
