"""One server in a container: made through the Docker SDK, hardened, awaited until it is ready, and stopped.

compose.yaml says the same for those who prefer it; a test holds the two together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig, Mount

from serving.artifacts import store
from serving.docker import image
from serving.docker.errors import refusals
from serving.errors import ContainerEnded, DockerError
from serving.runtime import log
from serving.server.draining import DRAIN_SECONDS, GATEWAY_STOP_SECONDS, GRPC_DRAIN_SECONDS
from serving.server.launch_options import READY
from serving.server.supervisor import JAVA_STOP_SECONDS, START_SECONDS

# Inside, the proxy is always here; outside it is wherever it is published.
PORT = 8080
APP = "/app"
# Requests in flight are finished first (the drains), then Java ends; Docker kills only what takes longer than that.
STOP_SECONDS = GRPC_DRAIN_SECONDS + GATEWAY_STOP_SECONDS + DRAIN_SECONDS + JAVA_STOP_SECONDS
# Archives are unpacked into /tmp. Compiled engines and Netty's library are loaded from there, so it has to allow exec.
TMPFS = {"/tmp": "rw,exec,nosuid,nodev,size=2g,mode=1777"}
# Threads count too: Java has some hundred, a worker some dozen for each library that keeps a pool of its own.
PIDS = 1024
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run.

    Attributes:
        gpus: None for the CPU alone, empty for all GPUs, else their numbers or UUIDs.
        explain_workers, unbatched_worker, keep_alive: None leaves them to scripts.serve.
    """

    store: Path = store.ROOT
    image: str = image.DEFAULT
    host: str = "127.0.0.1"
    port: int = 8080
    production: bool = False
    model: str | None = None
    version: str | None = None
    gpus: Sequence[str] | None = None
    memory: str = "4g"
    explain_workers: int | None = None
    unbatched_worker: int | None = None
    cors_origins: tuple[str, ...] = ()
    keep_alive: int | None = None
    token: str | None = None

    @property
    def about(self) -> dict[str, object]:
        """The words that sentences about refusals need."""
        return {
            "image": self.image,
            "host": self.host,
            "port": self.port,
            "gpus": ",".join(self.gpus or ()),
            "store": self.store.resolve(),
        }


def name(port: int) -> str:
    """Of the container that is published on a port, and of the volume that keeps its state."""
    return f"torchlight-{port}"


def options(settings: Settings) -> dict[str, Any]:
    """The arguments of `APIClient.create_container`, but for those of the host."""
    mode = "production" if settings.production else "development"
    command = ["--mode", mode, "--cors-origins", ",".join(settings.cors_origins)]
    command += ["--model", settings.model] if settings.model else []
    command += ["--version", settings.version] if settings.version else []
    command += [] if settings.explain_workers is None else ["--explain-workers", str(settings.explain_workers)]
    command += [] if settings.unbatched_worker is None else ["--unbatched-worker", str(settings.unbatched_worker)]
    command += [] if settings.keep_alive is None else ["--keep-alive", str(settings.keep_alive)]
    environment = {"TORCHLIGHT_TOKEN": settings.token} if settings.token else {}
    if settings.gpus is None:  # where NVIDIA's runtime is the default, it would hand out all of them
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return {
        "image": settings.image,
        "name": name(settings.port),
        "command": command,
        "environment": environment,
        "ports": [PORT],
        "stop_timeout": STOP_SECONDS,
        # The server asks nobody but itself, and a proxy from ~/.docker would stand between its own parts.
        "use_config_proxy": False,
    }


def host_options(settings: Settings) -> dict[str, Any]:
    """The arguments of `APIClient.create_host_config`: what the container may and may not do."""
    return {
        "port_bindings": {PORT: (settings.host, settings.port)},
        "mounts": [
            Mount(f"{APP}/model_store", str(settings.store.resolve()), type="bind", read_only=True),
            Mount(f"{APP}/.run", name(settings.port), type="volume"),
        ],
        "read_only": True,
        "tmpfs": TMPFS,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": settings.memory,
        "memswap_limit": settings.memory,  # the same: no swap, in which answers would come too late to be of use
        "pids_limit": PIDS,
        "device_requests": devices(settings.gpus),
        "restart_policy": {"Name": "unless-stopped"},
        "log_config": LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
    }


def devices(gpus: Sequence[str] | None) -> list[DeviceRequest]:
    """The device requests for these GPUs, as `docker run --gpus` makes them."""
    if gpus is None:
        return []
    which: dict[str, Any] = {"device_ids": list(gpus)} if gpus else {"count": -1}
    return [DeviceRequest(capabilities=[["gpu"]], **which)]


def launch(client: docker.DockerClient, settings: Settings, say: Callable[[str], None]) -> Container:
    """Start a container and return it when every worker is READY.

    Args:
        say: is called with each line of progress.

    Raises:
        DockerError: Docker refuses; no container is left.
        ContainerEnded: the server in it did not come up; it is stopped, and its log can still be read.
        ArchiveError: the store lacks what is to be served.
    """
    _check_readable(settings)
    image.check(client, settings.image)
    _make_room(client, settings)
    container: Container | None = None
    try:
        with refusals(settings.about):
            host_config = client.api.create_host_config(**host_options(settings))
            made = client.api.create_container(**options(settings), host_config=host_config)
            container = client.containers.get(made["Id"])
            container.start()
    except DockerError:
        if container is not None:
            with suppress(docker.errors.DockerException, requests.RequestException):
                container.remove(force=True)
        raise
    try:
        with refusals(settings.about):
            _await_ready(container, settings, say)
    except BaseException:  # Ctrl-C too: nobody would know that it still runs, and it would be started again for ever
        with suppress(docker.errors.DockerException, requests.RequestException):
            container.stop(timeout=JAVA_STOP_SECONDS)
        raise
    return container


def find(client: docker.DockerClient, port: int) -> Container:
    """The container of a port, running or not.

    Raises:
        DockerError: there is none.
    """
    try:
        with refusals({}):
            return client.containers.list(all=True, filters={"name": f"^/{name(port)}$"})[0]
    except IndexError:
        raise DockerError(f"no container {name(port)}: start one with `make docker-serve PORT={port}`") from None


def stop(client: docker.DockerClient, port: int) -> int:
    """Drain, end and remove the container of a port; returns its exit status. Its state stays, in the volume.

    Raises:
        DockerError: there is none.
    """
    container = find(client, port)
    with refusals({}):
        container.stop(timeout=STOP_SECONDS)
        container.reload()
        status = int(container.attrs["State"]["ExitCode"])
        container.remove()
    return status


def logs(client: docker.DockerClient, port: int, *, follow: bool) -> Iterator[str]:
    """The log of a port's container, as text, and on with it while `follow` and it runs.

    Raises:
        DockerError: there is none.
    """
    container = find(client, port)
    with refusals({}):
        for part in container.logs(stream=True, follow=follow):
            yield part.decode("utf-8", errors="replace")


def _check_readable(settings: Settings) -> None:
    """The server is a user of its own in there, so the store must be readable to all."""
    store.choose(settings.model, settings.version, settings.store)
    stored = store.archives(settings.store)
    files = [file for archive in stored for file in (archive.path, store.digest_file(archive.path)) if file.exists()]
    for path, needed in [(settings.store, 0o005), *((file, 0o004) for file in files)]:
        if path.stat().st_mode & needed != needed:
            raise DockerError(
                f"{path} cannot be read by the user in the container: `chmod -R o+rX {settings.store}` lets it"
            )


def _make_room(client: docker.DockerClient, settings: Settings) -> None:
    """Remove an ended container of this port."""
    try:
        before = find(client, settings.port)
    except DockerError:
        return
    if before.status in ("running", "restarting", "paused"):
        raise DockerError(
            f"a container already serves on port {settings.port}: stop it with `make docker-stop PORT={settings.port}`"
        )
    with refusals(settings.about):
        before.remove()


def _await_ready(container: Container, settings: Settings, say: Callable[[str], None]) -> None:
    """Pass on what the supervisor says until it is ready.

    Its log is read rather than its port asked: Docker may run on another machine, with the port on its loopback.
    """
    deadline = time.monotonic() + START_SECONDS + 30
    shown = 0
    while True:
        container.reload()
        ended = not container.attrs["State"]["Running"] or container.attrs["RestartCount"] > 0
        lines = container.logs().decode("utf-8", errors="replace").splitlines()
        for line in map(log.message, lines[shown:]):
            if line.startswith(("model: ", "workers READY: ")):
                say(line)
            if line.startswith(READY) and not ended:
                return
        shown = len(lines)
        if ended:
            raise _failure(container, settings, lines)
        if time.monotonic() > deadline:
            raise DockerError(f"{container.name} was not ready in time: see `make docker-logs PORT={settings.port}`")
        time.sleep(POLL_SECONDS)


def _failure(container: Container, settings: Settings, lines: Sequence[str]) -> DockerError:
    """Why a container ended during its start."""
    state = container.attrs["State"]
    status = int(state["ExitCode"]) or 1
    if state["OOMKilled"]:
        return ContainerEnded(f"the server ran out of its {settings.memory} of memory: give it more, MEMORY=8g", status)
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    words = (errors or list(lines[-1:]) or ["it said nothing"])[-1]
    return ContainerEnded(
        f"the container ended with status {status}: {words} (its log: `make docker-logs PORT={settings.port}`)", status
    )
