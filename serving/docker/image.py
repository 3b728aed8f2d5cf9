"""The image: built through the Docker SDK, and checked before a container is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker

from serving.docker.errors import explained, refusals
from serving.errors import DockerError

DEFAULT = "torchlight:latest"
# Lines of a failed build that are worth showing: pip's own last words.
_LAST_LINES = 15

_REMEDIES = [
    (
        r"pull access denied|manifest unknown|registry|failed to resolve|not found: manifest|repository .* not found",
        "the base image {base} cannot be pulled: check the network, or name one that this Docker has with BASE_IMAGE=",
    ),
    (
        r"ReadTimeout|ConnectTimeout|NewConnectionError|name resolution|Network is unreachable",
        "pip reaches no package index from inside the build: collect the wheels with `make wheelhouse`, which needs "
        "none, and build again",
    ),
    (
        r"No matching distribution found|from versions: none|is not a supported wheel",
        "no wheel fits a requirement (the lines above name it): collect them again with `make wheelhouse`, for the "
        "same torch, or empty wheelhouse/ to build from the package index",
    ),
]


def wheels(root: Path) -> list[Path]:
    """What the wheelhouse of a checkout holds."""
    return sorted((root / "wheelhouse").glob("*.whl"))


def build(
    client: docker.DockerClient,
    root: Path,
    tag: str = DEFAULT,
    *,
    arguments: Mapping[str, str | None],
    say: Callable[[str], None],
) -> str:
    """Build the Dockerfile of a checkout, with the classic builder, and return the image's id.

    With wheels in its wheelhouse the build gets no network: what it is made of is what lies there.

    Args:
        arguments: of the build, such as TORCH; those that are None keep the Dockerfile's default.
        say: is called with each line of progress.

    Raises:
        DockerError: it cannot be built; the lines that say why were said.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    about = {"image": tag, "base": given.get("BASE_IMAGE", "of the Dockerfile")}
    last: list[str] = []
    with refusals(about):
        stream = client.api.build(
            path=str(root),
            tag=tag,
            buildargs=given,
            network_mode="none" if wheels(root) else None,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in stream:
            if "error" in event:
                for line in last:
                    say(line)
                raise DockerError(failure(str(event["error"]), "\n".join(last), about))
            for line in str(event.get("stream", "")).splitlines():
                if line.startswith(("Step ", "Successfully built", "Successfully tagged")):
                    say(line)
                elif line.strip():
                    last = [*last, line][-_LAST_LINES:]
        return str(client.images.get(tag).id)


def failure(error: str, output: str, about: Mapping[str, object]) -> str:
    """One sentence for a failed build: Docker's `error`, and the last `output` of the step that failed."""
    for pattern, sentence in _REMEDIES:
        if re.search(pattern, f"{error}\n{output}"):
            return sentence.format_map({"base": about.get("base", "")})
    known = explained(error, about)
    if not known.startswith("Docker refuses"):
        return known
    return f"the image was not built: {' '.join(error.split())}; the lines above say why"


def check(client: docker.DockerClient, tag: str) -> None:
    """See that a container can be made of the image.

    Raises:
        DockerError: it is not there, or is for another kind of processor.
    """
    with refusals({"image": tag}):
        found: dict[str, Any] = client.images.get(tag).attrs
        here = client.version()
    if (found["Os"], found["Architecture"]) != (here["Os"], here["Arch"]):
        raise DockerError(
            f"the image {tag} is built for {found['Os']}/{found['Architecture']} and the Docker host is "
            f"{here['Os']}/{here['Arch']}: build it there with `make docker-build`"
        )
