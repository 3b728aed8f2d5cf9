"""Docker's daemon: how it is reached, and what its refusals mean, in one sentence each that ends in what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker
import docker.errors
import requests

from serving.errors import DockerError

# Longer than any single answer of the daemon takes, builds and logs aside, which come as streams.
TIMEOUT_SECONDS = 60

# What Docker says -> what it means. The words in braces come from `refusals(...)`.
_REMEDIES = [
    (
        r"port is already allocated|address already in use",
        "port {port} on {host} is taken: stop what uses it, or choose another with PORT=",
    ),
    (
        r"cannot assign requested address",
        "{host} is no address of the Docker host: use HOST=127.0.0.1, or one that it has",
    ),
    (
        r"unknown device|unresolvable CDI devices|device not found: GPU",
        "the Docker host has no GPU {gpus}: choose from what `nvidia-smi -L` lists there",
    ),
    (
        r"could not select device driver|unknown or invalid runtime name: nvidia",
        "Docker has no NVIDIA runtime: install the NVIDIA Container Toolkit and restart Docker, or leave GPU= and "
        "GPUS= out to serve on the CPU",
    ),
    (
        r"nvidia-container-cli|libnvidia-ml|nvml error",
        "Docker's NVIDIA runtime finds no working driver: see what `nvidia-smi` says on the Docker host, or leave "
        "GPU= and GPUS= out to serve on the CPU",
    ),
    (
        r"bind source path does not exist",
        "the Docker host has no folder {store}: the model store must lie there, on the machine of the daemon",
    ),
    (
        r"exec format error|does not match the (detected|specified)",
        "the image {image} is built for another processor than that of the Docker host: build it there with "
        "`make docker-build`",
    ),
    (
        r"no space left on device",
        "the disk of the Docker host is full: `docker system df` says with what, `docker system prune` frees some",
    ),
]


def connect() -> docker.DockerClient:
    """A client of the daemon that DOCKER_HOST names, else of the one on this machine.

    Raises:
        DockerError: there is none, or this user may not talk to it.
    """
    try:
        return docker.from_env(timeout=TIMEOUT_SECONDS)
    except (docker.errors.DockerException, ValueError) as error:
        raise DockerError(unreachable(str(error), os.environ.get("DOCKER_HOST"))) from None


def unreachable(message: str, host: str | None) -> str:
    """What the SDK's `message` means when no connection comes about."""
    where = f"at DOCKER_HOST={host}" if host else "on this machine"
    if "Permission" in message:
        return (
            f"this user may not talk to the Docker daemon {where}: join the group of its socket (`sudo usermod -aG "
            "docker $USER`, then log in again), or use rootless Docker"
        )
    if host and re.search(r"Invalid|scheme|Unsupported|ssh", message):
        return f"DOCKER_HOST={host} cannot be used ({message}): correct it or unset it"
    return (
        f"no Docker daemon answers {where}: start it (`sudo systemctl start docker`, or Docker Desktop), or set "
        "DOCKER_HOST to the one that runs"
    )


@contextmanager
def refusals(about: Mapping[str, object]) -> Iterator[None]:
    """Turn what Docker refuses within the block into DockerError.

    Args:
        about: what was asked for: `image`, `host`, `port`, `gpus` and `store`, as far as they matter.
    """
    try:
        yield
    except docker.errors.ImageNotFound:
        raise DockerError(f"there is no image {about.get('image')}: build it with `make docker-build`") from None
    except docker.errors.APIError as error:
        raise DockerError(explained(str(error.explanation or error), about)) from None
    except docker.errors.DockerException as error:
        raise DockerError(explained(str(error), about)) from None
    except requests.RequestException as error:
        raise DockerError(
            f"the Docker daemon stopped answering ({type(error).__name__}): see its log, and try again"
        ) from None


def explained(message: str, about: Mapping[str, object]) -> str:
    """One sentence for what the daemon said."""
    for pattern, sentence in _REMEDIES:
        if re.search(pattern, message, re.IGNORECASE):
            return re.sub(r"\{(\w+)\}", lambda match: str(about.get(match[1], "?")), sentence)
    return f"Docker refuses: {' '.join(message.split())}"
