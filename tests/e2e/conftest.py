"""A Docker of the tests' own, the image built in it by the real command, and stores to serve."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from models.release import Release
from serving.artifacts.archive import archive
from serving.artifacts.model_config import ModelConfig
from serving.docker import image
from tests.support import docker_host


@pytest.fixture(scope="session")
def engine() -> Iterator[docker_host.Engine]:
    """Needs root on Debian; elsewhere these tests are left out, but never where CI runs them."""
    debian = Path("/etc/debian_version").exists()
    if not os.environ.get("CI") and not (debian and os.geteuid() == 0):
        pytest.skip("starting a Docker of one's own takes root on Debian")
    docker_host.install()
    with docker_host.Engine() as running:
        yield running


@pytest.fixture(scope="session")
def client(engine: docker_host.Engine) -> Iterator[docker.DockerClient]:
    connected = docker.DockerClient(base_url=engine.url, timeout=60)
    yield connected
    connected.close()


@pytest.fixture(scope="session")
def built(engine: docker_host.Engine, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tag of the image, built by `python -m scripts.docker build` from the real Dockerfile, without a network."""
    checkout = docker_host.context(tmp_path_factory.mktemp("build") / "checkout", wheels=docker_host.wheels())
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docker", "build", "--base-image", docker_host.base_image(client)],
        cwd=checkout,
        env={**os.environ, "DOCKER_HOST": engine.url},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    shutil.rmtree(checkout)
    return image.DEFAULT


@pytest.fixture(scope="session")
def store(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with `digits` 1.0, in a folder where the commands can be run."""
    return _store(release, ModelConfig(), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def slow_store(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a batch delay of two seconds, so that requests stay in flight for that time."""
    return _store(release, ModelConfig(batchSize=64, maxBatchDelay=2000), tmp_path_factory.mktemp("slow"))


def _store(release: Release, config: ModelConfig, folder: Path) -> Path:
    root = folder / "model_store"
    root.mkdir(parents=True)
    archive(release, config, root)
    folder.chmod(0o755)
    return root


@pytest.fixture(scope="session")
def other_architecture(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image for a processor that this machine is not."""
    foreign = "arm64" if platform.machine() == "x86_64" else "amd64"
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    client.images.build(path=str(folder), tag="torchlight-test:foreign", platform=f"linux/{foreign}", rm=True)
    return "torchlight-test:foreign"
