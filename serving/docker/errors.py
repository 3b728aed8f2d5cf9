"""Connection to the Docker daemon, and a sentence with a remedy for each of its errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker
import docker.errors
import requests

from serving.errors import DockerError

# Longer than any single response of the daemon takes. Builds and logs are streams.
TIMEOUT_SECONDS = 60

# Pattern in Docker's message -> sentence. The names in braces are keys of `about` in `docker_errors`.
_REMEDIES = [
    (
        r"port is already allocated|address already in use",
        "port {port} on {host} is taken: stop what uses it, or choose another with --port",
    ),
    (
        r"cannot assign requested address",
        "the Docker host does not have the address {host}: use --host=127.0.0.1, or one of its addresses",
    ),
    (
        r"unknown device|unresolvable CDI devices|device not found: GPU",
        "the Docker host has no GPU {gpus}: choose one that `nvidia-smi -L` lists there",
    ),
    (
        r"could not select device driver|unknown or invalid runtime name: nvidia",
        "Docker has no NVIDIA runtime: install the NVIDIA Container Toolkit and restart Docker, or leave --gpu and "
        "--gpus out to serve on the CPU",
    ),
    (
        r"nvidia-container-cli|libnvidia-ml|nvml error",
        "Docker's NVIDIA runtime finds no working driver: run `nvidia-smi` on the Docker host, or leave "
        "--gpu and --gpus out to serve on the CPU",
    ),
    (
        r"bind source path does not exist",
        "the Docker host has no folder {store}: the model store must be on the machine of the Docker daemon",
    ),
    (
        r"exec format error|does not match the (detected|specified)",
        "the image {image} is built for another processor than the Docker host has: build it there with "
        "`torchlight docker build`",
    ),
    (
        r"no space left on device",
        "the disk of the Docker host is full: `docker system df` shows the usage, `docker system prune` frees space",
    ),
]


def connect() -> docker.DockerClient:
    """Return a client of the daemon at DOCKER_HOST, or of the one on this machine.

    Raises:
        DockerError: there is none, or this user has no access to it.
    """
    try:
        return docker.from_env(timeout=TIMEOUT_SECONDS)
    except (docker.errors.DockerException, ValueError) as error:
        raise DockerError(unreachable(str(error), os.environ.get("DOCKER_HOST"))) from None


def unreachable(message: str, host: str | None) -> str:
    """Return the sentence for a failed connection, by the `message` of the SDK."""
    location = f"at DOCKER_HOST={host}" if host else "on this machine"
    if "Permission" in message:
        return (
            f"this user has no access to the Docker daemon {location}: join the group of its socket (`sudo usermod -aG "
            "docker $USER`, then log in again), or use rootless Docker"
        )
    if host and re.search(r"Invalid|scheme|Unsupported|ssh", message):
        return f"DOCKER_HOST={host} cannot be used ({message}): correct it or unset it"
    return (
        f"no Docker daemon answers {location}: start it (`sudo systemctl start docker`, or Docker Desktop), or set "
        "DOCKER_HOST to the one that runs"
    )


@contextmanager
def docker_errors(about: Mapping[str, object]) -> Iterator[None]:
    """Turn Docker's errors in the block into DockerError.

    Args:
        about: values for the messages: `image`, `host`, `port`, `gpus` and `store`, as far as they apply.
    """
    try:
        yield
    except docker.errors.ImageNotFound:
        raise DockerError(
            f"the image {about.get('image')} does not exist: build it with `torchlight docker build`"
        ) from None
    except docker.errors.APIError as error:
        raise DockerError(explained(str(error.explanation or error), about)) from None
    except docker.errors.DockerException as error:
        raise DockerError(explained(str(error), about)) from None
    except requests.RequestException as error:
        raise DockerError(
            f"the Docker daemon does not respond ({type(error).__name__}): see its log, and try again"
        ) from None


def explained(message: str, about: Mapping[str, object]) -> str:
    """Return the sentence for a message of the daemon."""
    for pattern, sentence in _REMEDIES:
        if re.search(pattern, message, re.IGNORECASE):
            return re.sub(r"\{(\w+)\}", lambda match: str(about.get(match[1], "?")), sentence)
    return f"Docker failed: {' '.join(message.split())}"
