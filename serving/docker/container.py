"""One server in a container: created through the Docker SDK, hardened, started, and stopped.

compose.yaml has the same settings for users of Compose; a test compares the two.
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
from serving.docker.errors import docker_errors
from serving.errors import ContainerEnded, DockerError
from serving.runtime.log import message
from serving.server.draining import DRAIN_SECONDS, GATEWAY_STOP_SECONDS, GRPC_DRAIN_SECONDS
from serving.server.launch_options import READY
from serving.server.supervisor import JAVA_STOP_SECONDS, START_SECONDS

# The port of the proxy inside the container; outside it has the published port.
PORT = 8080
APP = "/app"
# Requests in flight are finished first (drains), then Java ends. Docker kills the container if that takes longer.
STOP_SECONDS = GRPC_DRAIN_SECONDS + GATEWAY_STOP_SECONDS + DRAIN_SECONDS + JAVA_STOP_SECONDS
# Archives are unpacked into /tmp. Compiled engines and Netty's library are loaded from there, so exec must be allowed.
TMPFS = {"/tmp": "rw,exec,nosuid,nodev,size=2g,mode=1777"}
# Threads count too: Java has about a hundred, a worker a dozen for each library with a thread pool.
PIDS = 1024
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """Options of the container and of the server in it.

    Attributes:
        gpus: None for CPU only, empty for all GPUs, or the numbers or UUIDs of some.
        explain_workers, unbatched_worker, keep_alive: None is the default of scripts.serve.
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
        """Return the values that messages about Docker's errors contain."""
        return {
            "image": self.image,
            "host": self.host,
            "port": self.port,
            "gpus": ",".join(self.gpus or ()),
            "store": self.store.resolve(),
        }


def name(port: int) -> str:
    """Return the name of the container of a port, and of the volume with its state."""
    return f"torchlight-{port}"


def create_arguments(options: ContainerOptions) -> dict[str, Any]:
    """Return the arguments of `APIClient.create_container`, without those of the host."""
    mode = "production" if options.production else "development"
    command = ["--mode", mode, "--cors-origins", ",".join(options.cors_origins)]
    command += ["--model", options.model] if options.model else []
    command += ["--version", options.version] if options.version else []
    command += [] if options.explain_workers is None else ["--explain-workers", str(options.explain_workers)]
    command += [] if options.unbatched_worker is None else ["--unbatched-worker", str(options.unbatched_worker)]
    command += [] if options.keep_alive is None else ["--keep-alive", str(options.keep_alive)]
    environment = {"TORCHLIGHT_TOKEN": options.token} if options.token else {}
    if options.gpus is None:  # NVIDIA's runtime, if it is the default, would pass all GPUs
        environment["NVIDIA_VISIBLE_DEVICES"] = "void"
    return {
        "image": options.image,
        "name": name(options.port),
        "command": command,
        "environment": environment,
        "ports": [PORT],
        "stop_timeout": STOP_SECONDS,
        # The server connects only to itself, and an HTTP proxy from ~/.docker would intercept that.
        "use_config_proxy": False,
    }


def host_arguments(options: ContainerOptions) -> dict[str, Any]:
    """Return the arguments of `APIClient.create_host_config`: the permissions and limits of the container."""
    return {
        "port_bindings": {PORT: (options.host, options.port)},
        "mounts": [
            Mount(f"{APP}/model_store", str(options.store.resolve()), type="bind", read_only=True),
            Mount(f"{APP}/.run", name(options.port), type="volume"),
        ],
        "read_only": True,
        "tmpfs": TMPFS,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": options.memory,
        "memswap_limit": options.memory,  # the same: no swap, which would make responses too slow to be useful
        "pids_limit": PIDS,
        "device_requests": devices(options.gpus),
        "restart_policy": {"Name": "unless-stopped"},
        "log_config": LogConfig(type="json-file", config={"max-size": "10m", "max-file": "3"}),
    }


def devices(gpus: Sequence[str] | None) -> list[DeviceRequest]:
    """Return the device requests for these GPUs, like those of `docker run --gpus`."""
    if gpus is None:
        return []
    selection: dict[str, Any] = {"device_ids": list(gpus)} if gpus else {"count": -1}
    return [DeviceRequest(capabilities=[["gpu"]], **selection)]


def launch(client: docker.DockerClient, options: ContainerOptions, log: Callable[[str], None]) -> Container:
    """Start a container and return it when every worker is READY.

    Args:
        log: gets each line of progress.

    Raises:
        DockerError: Docker reports an error; the container is removed.
        ContainerEnded: the server did not start; the container is stopped, and its log can still be read.
        ArchiveError: the store has no archive to serve.
    """
    _check_readable(options)
    image.check(client, options.image)
    _remove_ended(client, options)
    container: Container | None = None
    try:
        with docker_errors(options.about):
            host_config = client.api.create_host_config(**host_arguments(options))
            created = client.api.create_container(**create_arguments(options), host_config=host_config)
            container = client.containers.get(created["Id"])
            container.start()
    except DockerError:
        if container is not None:
            with suppress(docker.errors.DockerException, requests.RequestException):
                container.remove(force=True)
        raise
    try:
        with docker_errors(options.about):
            _await_ready(container, options, log)
    except BaseException:  # also after Ctrl-C: otherwise it would keep running, and restart forever
        with suppress(docker.errors.DockerException, requests.RequestException):
            container.stop(timeout=JAVA_STOP_SECONDS)
        raise
    return container


def find(client: docker.DockerClient, port: int) -> Container:
    """Return the container of a port, running or not.

    Raises:
        DockerError: there is none.
    """
    try:
        with docker_errors({}):
            return client.containers.list(all=True, filters={"name": f"^/{name(port)}$"})[0]
    except IndexError:
        raise DockerError(
            f"no container {name(port)}: start one with `torchlight docker serve --port {port}`"
        ) from None


def stop(client: docker.DockerClient, port: int) -> int:
    """Drain, end and remove the container of a port; return its exit status. Its state stays in the volume.

    Raises:
        DockerError: there is none.
    """
    container = find(client, port)
    with docker_errors({}):
        container.stop(timeout=STOP_SECONDS)
        container.reload()
        status = int(container.attrs["State"]["ExitCode"])
        container.remove()
    return status


def logs(client: docker.DockerClient, port: int, *, follow: bool) -> Iterator[str]:
    """Yield the log of a port's container, as text; with `follow`, until the container ends.

    Raises:
        DockerError: there is none.
    """
    container = find(client, port)
    with docker_errors({}):
        for part in container.logs(stream=True, follow=follow):
            yield part.decode("utf-8", errors="replace")


def _check_readable(options: ContainerOptions) -> None:
    """Check that everybody can read the store: the server has its own user in the container."""
    store.choose(options.model, options.version, options.store)
    stored = store.archives(options.store)
    files = [file for archive in stored for file in (archive.path, store.digest_file(archive.path)) if file.exists()]
    for path, needed in [(options.store, 0o005), *((file, 0o004) for file in files)]:
        if path.stat().st_mode & needed != needed:
            raise DockerError(
                f"{path} cannot be read by the user in the container: run `chmod -R o+rX {options.store}`"
            )


def _remove_ended(client: docker.DockerClient, options: ContainerOptions) -> None:
    """Remove a container of this port that has ended."""
    try:
        before = find(client, options.port)
    except DockerError:
        return
    if before.status in ("running", "restarting", "paused"):
        raise DockerError(
            f"a container already serves on port {options.port}: stop it with "
            f"`torchlight docker stop --port {options.port}`"
        )
    with docker_errors(options.about):
        before.remove()


def _await_ready(container: Container, options: ContainerOptions, log: Callable[[str], None]) -> None:
    """Forward the supervisor's lines until it is ready.

    They come from its log, not from its port: Docker may run on another machine, with the port on its loopback.
    """
    deadline = time.monotonic() + START_SECONDS + 30
    logged = 0
    while True:
        container.reload()
        ended = not container.attrs["State"]["Running"] or container.attrs["RestartCount"] > 0
        lines = container.logs().decode("utf-8", errors="replace").splitlines()
        for line in map(message, lines[logged:]):
            if line.startswith(("model: ", "workers READY: ")):
                log(line)
            if line.startswith(READY) and not ended:
                return
        logged = len(lines)
        if ended:
            raise _failure(container, options, lines)
        if time.monotonic() > deadline:
            raise DockerError(
                f"{container.name} was not ready in time: see `torchlight docker logs --port {options.port}`"
            )
        time.sleep(POLL_SECONDS)


def _failure(container: Container, options: ContainerOptions, lines: Sequence[str]) -> DockerError:
    """Return the error for a container that ended during its start."""
    state = container.attrs["State"]
    status = int(state["ExitCode"]) or 1
    if state["OOMKilled"]:
        return ContainerEnded(
            f"the server needs more than {options.memory} of memory: give it more, such as --memory=8g", status
        )
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reason = (errors or list(lines[-1:]) or ["its log is empty"])[-1]
    return ContainerEnded(
        f"the container ended with status {status}: {reason} (its log: `torchlight docker logs --port {options.port}`)",
        status,
    )
