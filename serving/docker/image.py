"""The Docker image: built through the Docker SDK, and checked before a container is created from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker

from serving.docker.errors import docker_errors, explained
from serving.errors import DockerError

DEFAULT = "torchlight:latest"
# Number of lines of a failed build to show: the end of pip's output.
_LAST_LINES = 15

_REMEDIES = [
    (
        r"pull access denied|manifest unknown|registry|failed to resolve|not found: manifest|repository .* not found",
        "the base image {base} cannot be pulled: check the network, or give a local image with --base-image",
    ),
    (
        r"ReadTimeout|ConnectTimeout|NewConnectionError|name resolution|Network is unreachable",
        "pip cannot reach a package index during the build: collect the wheels with "
        "`torchlight maintenance wheelhouse`, and build again without a network",
    ),
    (
        r"No matching distribution found|from versions: none|is not a supported wheel",
        "no wheel fits a requirement (the lines above name it): collect them again with "
        "`torchlight maintenance wheelhouse`, for the same torch, or empty wheelhouse/ to build from the package index",
    ),
]


def wheels(root: Path) -> list[Path]:
    """Return the wheels in the wheelhouse of a checkout."""
    return sorted((root / "wheelhouse").glob("*.whl"))


def build(
    client: docker.DockerClient,
    root: Path,
    tag: str = DEFAULT,
    *,
    arguments: Mapping[str, str | None],
    log: Callable[[str], None],
) -> str:
    """Build the Dockerfile of a checkout, with the classic builder, and return the image's id.

    With wheels in the wheelhouse, the build gets no network: it can use only these wheels.

    Args:
        arguments: build arguments, such as TORCH; None keeps the Dockerfile's default.
        log: gets each line of progress.

    Raises:
        DockerError: it cannot be built; the last lines of the build were logged.
    """
    build_arguments = {name: value for name, value in arguments.items() if value is not None}
    about = {"image": tag, "base": build_arguments.get("BASE_IMAGE", "of the Dockerfile")}
    last: list[str] = []
    with docker_errors(about):
        stream = client.api.build(
            path=str(root),
            tag=tag,
            buildargs=build_arguments,
            network_mode="none" if wheels(root) else None,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in stream:
            if "error" in event:
                for line in last:
                    log(line)
                raise DockerError(failure(str(event["error"]), "\n".join(last), about))
            for line in str(event.get("stream", "")).splitlines():
                if line.startswith(("Step ", "Successfully built", "Successfully tagged")):
                    log(line)
                elif line.strip():
                    last = [*last, line][-_LAST_LINES:]
        return str(client.images.get(tag).id)


def failure(error: str, output: str, about: Mapping[str, object]) -> str:
    """Return the sentence for a failed build, from Docker's `error` and the last `output` of the failed step."""
    for pattern, sentence in _REMEDIES:
        if re.search(pattern, f"{error}\n{output}"):
            return sentence.format_map({"base": about.get("base", "")})
    explanation = explained(error, about)
    if not explanation.startswith("Docker failed"):
        return explanation
    return f"the image was not built: {' '.join(error.split())}; see the lines above"


def check(client: docker.DockerClient, tag: str) -> None:
    """Check that a container can run the image.

    Raises:
        DockerError: the image does not exist, or is built for another processor.
    """
    with docker_errors({"image": tag}):
        attributes: dict[str, Any] = client.images.get(tag).attrs
        host = client.version()
    if (attributes["Os"], attributes["Architecture"]) != (host["Os"], host["Arch"]):
        raise DockerError(
            f"the image {tag} is built for {attributes['Os']}/{attributes['Architecture']} and the Docker host is "
            f"{host['Os']}/{host['Arch']}: build it there with `torchlight docker build`"
        )
