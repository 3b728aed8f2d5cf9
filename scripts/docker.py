"""Serve from a Docker container: build its image, start it, read its log, and stop it without losing a request."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from scripts import archive
from scripts.command import command
from serving.artifacts import store
from serving.docker import container, errors, image
from serving.errors import ContainerEnded, DockerError
from serving.proxy import client_token, cors
from serving.proxy.haproxy import KEEP_ALIVE_SECONDS
from serving.runtime.instance import http_url
from serving.server.launch_options import LOOPBACK

ROOT = Path(__file__).resolve().parent.parent


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and run the command."""
    parser = argparse.ArgumentParser(prog="python -m scripts.docker", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build the image from this checkout")
    build.add_argument("--tag", default=image.DEFAULT, help=f"name of the image (default: {image.DEFAULT})")
    build.add_argument("--torch", help="torch requirement, such as torch==2.13.0+cpu (default: that of the Dockerfile)")
    build.add_argument("--base-image", help="base image (default: that of the Dockerfile)")
    serve = verbs.add_parser("serve", help="start a container, and wait until every worker is READY")
    serve.add_argument("--tag", default=image.DEFAULT, help=f"name of the image (default: {image.DEFAULT})")
    serve.add_argument("--model", help="serve only this model (default: the newest version of each in the store)")
    serve.add_argument("--version", help="serve this version (default: the newest)")
    serve.add_argument("--port", type=int, default=8080, help="port to publish the proxy on (default: 8080)")
    serve.add_argument("--host", default="127.0.0.1", help="address to publish the proxy on (default: 127.0.0.1)")
    serve.add_argument(
        "--mode",
        choices=("development", "production"),
        default="development",
        help="production requires a bearer token: $TORCHLIGHT_TOKEN, or a generated one (default: development)",
    )
    serve.add_argument("--gpu", action="store_true", help="use all GPUs of the Docker host")
    serve.add_argument("--gpus", help="GPUs to use, by number or UUID, such as 0,1; or all")
    serve.add_argument("--memory", default="4g", help="memory limit, such as 8g (default: 4g)")
    serve.add_argument("--explain-workers", type=int, help="explain workers of each version (default: 1)")
    serve.add_argument(
        "--unbatched-worker",
        type=int,
        choices=(1, 0),
        help="1: each version has a worker for single requests; 0: none (default: 1)",
    )
    serve.add_argument(
        "--cors-origins",
        default="",
        help="origins whose web pages may read responses, such as https://lab.example, or * for all (default: none)",
    )
    serve.add_argument(
        "--keep-alive", type=int, metavar="SECONDS", help=f"timeout of idle connections (default: {KEEP_ALIVE_SECONDS})"
    )
    logs = verbs.add_parser("logs", help="show the log, and follow it until Ctrl-C")
    logs.add_argument("--no-follow", action="store_true", help="show the log so far, and return")
    stop = verbs.add_parser("stop", help="finish the requests in flight and remove the container; keep its state")
    for verb in (logs, stop):
        verb.add_argument(
            "--port", type=int, default=8080, help="port that the container is published on (default: 8080)"
        )
    arguments = parser.parse_args(argv)
    {"build": _build, "serve": _serve, "logs": _logs, "stop": _stop}[arguments.verb](arguments)


def _build(arguments: argparse.Namespace) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    client = errors.connect()
    image.build(
        client,
        ROOT,
        arguments.tag,
        arguments={
            "BASE_IMAGE": arguments.base_image,
            "TORCH": arguments.torch,
            "PIP_EXTRA_INDEX_URL": os.environ.get("PIP_EXTRA_INDEX_URL"),
            "VERSION": version,
            "REVISION": _revision(),
        },
        log=_log,
    )
    print(f"{arguments.tag}: {client.images.get(arguments.tag).attrs['Size'] / 1e9:.2f} GB")


def _serve(arguments: argparse.Namespace) -> None:
    gpus = [gpu for gpu in map(str.strip, (arguments.gpus or "").split(",")) if gpu and gpu != "all"]
    options = container.ContainerOptions(
        image=arguments.tag,
        host=arguments.host,
        port=arguments.port,
        production=arguments.mode == "production",
        model=arguments.model,
        version=arguments.version,
        gpus=gpus if arguments.gpu or arguments.gpus else None,
        memory=arguments.memory,
        cors_origins=cors.parse(arguments.cors_origins),
        explain_workers=arguments.explain_workers,
        unbatched_worker=arguments.unbatched_worker,
        token=client_token.from_environment(),
        keep_alive=arguments.keep_alive,
    )
    client = errors.connect()
    image.check(client, options.image)  # before a model is trained for it
    if not store.archives() and arguments.model in (None, archive.BUNDLED):
        archive.run(archive.BUNDLED, arguments.version)
    start = time.monotonic()
    try:
        container.launch(client, options, _log)
    except ContainerEnded as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.status)
    print(f"READY in {time.monotonic() - start:.1f} s")
    print(_welcome(options))


def _logs(arguments: argparse.Namespace) -> None:
    client = errors.connect()
    for text in container.logs(client, arguments.port, follow=not arguments.no_follow):
        print(text, end="", flush=True)
    state = container.find(client, arguments.port).attrs["State"]
    if not state["Running"]:
        print(f"the container ended with status {state['ExitCode']}", file=sys.stderr)
        sys.exit(int(state["ExitCode"]))


def _stop(arguments: argparse.Namespace) -> None:
    status = container.stop(errors.connect(), arguments.port)
    if status:
        raise DockerError(f"the container on port {arguments.port} is removed; it had ended with status {status}")
    print(f"stopped the container on port {arguments.port}")


def _welcome(options: container.ContainerOptions) -> str:
    url = http_url(options.host, options.port)
    name = container.name(options.port)
    model = store.choose(options.model, options.version)[0].model
    token = f' -H "Authorization: Bearer $(docker exec {name} cat .run/{container.PORT}/token)"'
    lines = [
        f"serving at {url}, from container {name}",
        f"try:   curl{token if options.production else ''} -T samples/3.png {url}/predictions/{model}",
        f"log:   make docker-logs PORT={options.port}",
        f"stop:  make docker-stop PORT={options.port}",
    ]
    if not options.production:
        lines.append(
            "requests need no token: only this machine can connect; `make docker-serve MODE=production` requires one"
            if options.host in LOOPBACK
            else f"WARNING: HOST={options.host} lets everybody who reaches this machine use it: add MODE=production"
        )
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
    main()
