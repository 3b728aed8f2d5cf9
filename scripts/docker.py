"""Serve from a Docker container: build its image, start it, read its log, and stop it without losing a request.

For example:

    torchlight docker build
    torchlight docker serve --port 8081 --mode production
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from scripts import archive, cli
from scripts.command import say
from serving.artifacts import store
from serving.docker import container, errors, image
from serving.errors import ContainerEnded, DockerError
from serving.proxy import client_token, cors
from serving.runtime.instance import http_url
from serving.server.launch_options import development_note

ROOT = Path(__file__).resolve().parent.parent

app = App(name="docker", version_flags=(), default_parameter=cli.FLAGS)


@app.command
def build(*, tag: str = image.DEFAULT, torch: str | None = None, base_image: str | None = None) -> None:
    """Build the image from this checkout.

    For example:

        torchlight docker build --torch torch==2.13.0+cpu

    Args:
        tag: name of the image
        torch: torch requirement, such as torch==2.13.0+cpu (default: that of the Dockerfile)
        base_image: base image (default: that of the Dockerfile)
    """
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    client = errors.connect()
    image.build(
        client,
        ROOT,
        tag,
        arguments={
            "BASE_IMAGE": base_image,
            "TORCH": torch,
            "PIP_EXTRA_INDEX_URL": os.environ.get("PIP_EXTRA_INDEX_URL"),
            "VERSION": version,
            "REVISION": _revision(),
        },
        log=_log,
    )
    print(f"{tag}: {client.images.get(tag).attrs['Size'] / 1e9:.2f} GB")


@app.command
def serve(
    *,
    tag: str = image.DEFAULT,
    model: str | None = None,
    version: str | None = None,
    port: int = 8080,
    host: str = "127.0.0.1",
    mode: Literal["development", "production"] = "development",
    gpu: bool = False,
    gpus: str | None = None,
    memory: str = "4g",
    explain_workers: int | None = None,
    unbatched_worker: Literal[1, 0] | None = None,
    cors_origins: str = "",
    keep_alive: Annotated[int | None, Parameter(metavar="SECONDS")] = None,
) -> None:
    """Start a container, and wait until every worker is READY.

    For example:

        torchlight docker serve --port 8081 --gpus 0,1

    Args:
        tag: name of the image
        model: serve only this model (default: the newest version of each in the store)
        version: serve this version (default: the newest)
        port: port to publish the proxy on
        host: address to publish the proxy on
        mode: production requires a bearer token: $TORCHLIGHT_TOKEN, or a generated one
        gpu: use all GPUs of the Docker host
        gpus: GPUs to use, by number or UUID, such as 0,1; or all
        memory: memory limit, such as 8g
        explain_workers: explain workers of each version (default: 1)
        unbatched_worker: 1 gives each version a worker for single requests; 0 does not (default: 1)
        cors_origins: origins whose web pages may read responses, such as https://lab.example, or "*" for all
            (default: none)
        keep_alive: timeout of idle connections (default: that of `torchlight serve`)
    """
    devices = [name for name in map(str.strip, (gpus or "").split(",")) if name and name != "all"]
    options = container.ContainerOptions(
        image=tag,
        host=host,
        port=port,
        production=mode == "production",
        model=model,
        version=version,
        gpus=devices if gpu or gpus else None,
        memory=memory,
        cors_origins=cors.parse(cors_origins),
        explain_workers=explain_workers,
        unbatched_worker=unbatched_worker,
        token=client_token.from_environment(),
        keep_alive=keep_alive,
    )
    client = errors.connect()
    image.check(client, options.image)  # before a model is trained for it
    if not store.archives() and model in (None, archive.BUNDLED):
        archive.run(archive.BUNDLED, version)
    start = time.monotonic()
    try:
        container.launch(client, options, _log)
    except ContainerEnded as error:
        say(f"error: {error}", file=sys.stderr)
        sys.exit(error.status)
    print(f"READY in {time.monotonic() - start:.1f} s")
    say(_welcome(options))


@app.command
def logs(*, port: int = 8080, no_follow: bool = False) -> None:
    """Show the log, and follow it until Ctrl-C.

    For example:

        torchlight docker logs --port 8081 --no-follow

    Args:
        port: port that the container is published on
        no_follow: show the log so far, and return
    """
    client = errors.connect()
    for text in container.logs(client, port, follow=not no_follow):
        print(text, end="", flush=True)
    state = container.find(client, port).attrs["State"]
    if not state["Running"]:
        print(f"the container ended with status {state['ExitCode']}", file=sys.stderr)
        sys.exit(int(state["ExitCode"]))


@app.command
def stop(*, port: int = 8080) -> None:
    """Finish the requests in flight and remove the container; keep its state.

    For example:

        torchlight docker stop --port 8081

    Args:
        port: port that the container is published on
    """
    status = container.stop(errors.connect(), port)
    if status:
        raise DockerError(f"the container on port {port} is removed; it had ended with status {status}")
    print(f"stopped the container on port {port}")


def _welcome(options: container.ContainerOptions) -> str:
    url = http_url(options.host, options.port)
    name = container.name(options.port)
    model = store.choose(options.model, options.version)[0].model
    token = f' -H "Authorization: Bearer $(docker exec {name} cat .run/{container.PORT}/token)"'
    lines = [
        f"serving at {url}, from container {name}",
        f"try:   curl{token if options.production else ''} -T samples/3.png {url}/predictions/{model}",
        f"log:   torchlight docker logs --port {options.port}",
        f"stop:  torchlight docker stop --port {options.port}",
    ]
    if not options.production:
        lines.append(development_note(options.host, "torchlight docker serve"))
    return "\n".join(lines)


def _revision() -> str | None:
    """Return the commit of the checkout, with a mark if it has changes; None without git."""
    command_line = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    cli.run("docker")
