"""Serve the models of the store behind the proxy. Trains and archives the digits model first if the store is empty.

Returns when every worker is READY. The server then runs in the background, or in the terminal with --foreground.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from models.release import version_key
from scripts import archive
from scripts.command import command
from serving.artifacts import store
from serving.errors import StartError
from serving.proxy import client_token, cors
from serving.proxy.haproxy import KEEP_ALIVE_SECONDS, MAX_KEEP_ALIVE_SECONDS
from serving.rollout import startup
from serving.rollout.state import State
from serving.runtime import atomic_files, last_run, private_folder
from serving.runtime.instance import Instance, Ports
from serving.runtime.log import Log, LogFile, StandardOutput, open_log
from serving.server.launch_options import Launch
from serving.server.supervisor import START_SECONDS, Supervisor
from serving.torchserve import worker_roles
from serving.torchserve.worker_roles import PREDICT_ONLY, RoleCounts


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and serve."""
    parser = argparse.ArgumentParser(prog="python -m scripts.serve", description=__doc__)
    parser.add_argument("--model", help="serve only this model (default: what ran last, else each in the store)")
    parser.add_argument("--version", help="serve this version (default: what was promoted last, else the newest)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port of the proxy; port + 1 to port + 7 are used too (default: 8080)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the proxy (default: 127.0.0.1)")
    parser.add_argument(
        "--mode",
        choices=("development", "production"),
        default="development",
        help="production requires a bearer token: $TORCHLIGHT_TOKEN, or a random one (default: development)",
    )
    parser.add_argument(
        "--proxy", choices=("1", "0"), default="1", help="0 serves TorchServe itself, without HAProxy (default: 1)"
    )
    parser.add_argument(
        "--explain-workers",
        type=int,
        default=1,
        help="explain workers of each version; with 0, or with --proxy 0, predict workers explain (default: 1)",
    )
    parser.add_argument(
        "--unbatched-worker",
        type=int,
        choices=(1, 0),
        default=1,
        help="1 gives each version a worker for single predictions, which then do not wait for a batch; 0 saves its "
        "memory (default: 1)",
    )
    parser.add_argument(
        "--cors-origins",
        default="",
        help="origins whose web pages may read responses, such as https://lab.example,http://localhost:3000, or * "
        "for all (default: none)",
    )
    parser.add_argument(
        "--keep-alive",
        type=int,
        default=KEEP_ALIVE_SECONDS,
        metavar="SECONDS",
        help="how long a connection may wait for its next request: longer than the idle timeout of a load balancer in "
        f"front, which is 60 for AWS and nginx, and 600 for Google (default: {KEEP_ALIVE_SECONDS})",
    )
    parser.add_argument(
        "--container", action="store_true", help="settings for the inside of a container: train nothing"
    )
    parser.add_argument("--foreground", action="store_true", help="run in the terminal, and write the log to it")
    parser.add_argument(
        "--log-file", type=Path, help="with --foreground: file of the log, which rotates (default: the terminal)"
    )
    parser.add_argument(
        "--log-mb", type=float, default=20.0, help="size in megabytes after which a new log file starts (default: 20)"
    )
    parser.add_argument(
        "--log-files", type=int, default=4, help="number of older log files, server.log.1 and so on (default: 4)"
    )
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.explain_workers <= 256:
        parser.error(f"--explain-workers is {arguments.explain_workers}: give a number from 0 to 256")
    origins = cors.parse(arguments.cors_origins)
    if origins and arguments.proxy == "0":
        parser.error("--cors-origins needs the proxy: leave out --proxy 0")
    if not 0.1 <= arguments.log_mb <= 100_000:
        parser.error(f"--log-mb is {arguments.log_mb:g}: give a number from 0.1 to 100000")
    if not 0 <= arguments.log_files <= 1000:
        parser.error(f"--log-files is {arguments.log_files}: give a number from 0 to 1000")
    if not 1 <= arguments.keep_alive <= MAX_KEEP_ALIVE_SECONDS:
        parser.error(f"--keep-alive is {arguments.keep_alive}: give seconds from 1 to {MAX_KEEP_ALIVE_SECONDS}")
    token = client_token.from_environment()

    instance = Instance(Ports(arguments.port))
    if instance.running():
        raise StartError(
            f"a server already runs on port {arguments.port}: stop it with `make stop PORT={arguments.port}`"
        )
    if (words := last_run.crash(instance)) is not None:
        print(words)
    if not store.archives() and arguments.model in (None, archive.BUNDLED) and not arguments.container:
        archive.run(archive.BUNDLED, arguments.version)
    # The host name of a container is its id by default. It stays the same over restarts, and a new container has
    # another.
    order = socket.gethostname() if arguments.container else None
    desired = startup.desired_state(instance.folder, arguments.model, arguments.version, order)
    present, missing = startup.stored_archives(desired)
    for model in desired.models:
        worker_roles.check_model_name(model)
    chosen, remarks = startup.check_archives(desired, present)
    for sentence in [*missing, *remarks, *_newer(desired)]:
        print(sentence)
    if arguments.foreground:
        role_counts = RoleCounts(arguments.explain_workers, arguments.unbatched_worker)
        launch = Launch(
            archives=chosen,
            state=desired,
            host=arguments.host,
            proxy=arguments.proxy == "1",
            production=arguments.mode == "production",
            token=token,
            role_counts=role_counts if arguments.proxy == "1" else PREDICT_ONLY,
            cors_origins=origins,
            keep_alive_seconds=arguments.keep_alive,
            container=arguments.container,
        )
        size = int(arguments.log_mb * 1_000_000)
        output = LogFile(arguments.log_file, size, arguments.log_files) if arguments.log_file else StandardOutput()
        sys.exit(Supervisor(instance, launch, Log(output)).run())
    _in_background(instance, sys.argv[1:] if argv is None else argv)


def _newer(desired: State) -> list[str]:
    """Return sentences on archives that are newer than the served versions, which a start does not promote."""
    sentences = []
    for newest in {stored.model: stored for stored in store.archives()}.values():
        model = desired.models.get(newest.model)
        if model and version_key(newest.version) > version_key(model.default) and newest.version not in model.versions:
            variables = f"MODEL={newest.model} VERSION={newest.version}"
            sentences.append(
                f"{newest.path} is newer than {model.default}: `make register promote {variables}` serves it"
            )
    return sentences


def _in_background(instance: Instance, argv: list[str]) -> None:
    """Start the same command with --foreground, detached, and print its progress until it is ready."""
    private_folder.make(instance.folder)
    atomic_files.check_space(instance.folder)  # without space there is neither a log nor a status to report it
    flags = [*argv, "--log-file", str(instance.log), "--foreground"]
    with os.fdopen(open_log(instance.log), "ab") as log:
        start = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "scripts.serve", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started, shown = time.monotonic(), ""
    while child.poll() is None and time.monotonic() - started < START_SECONDS + 30:
        status = instance.status()
        if status is not None and status.pid == child.pid:
            if status.state == "ready":
                print(f"READY in {time.monotonic() - started:.1f} s (log: {os.path.relpath(instance.log)})")
                print(status.message)
                return
            if status.message != shown:
                shown = status.message
                print(shown, flush=True)
        time.sleep(0.1)
    child.terminate()
    with instance.log.open("rb") as log:
        log.seek(min(start, log.seek(0, os.SEEK_END)))  # an earlier run wrote the lines before that
        lines = log.read().decode(errors="replace").splitlines()
    reason = next((line for line in reversed(lines) if line.startswith("error: ")), "error: the server did not start")
    sys.exit(f"{reason} (log: {os.path.relpath(instance.log)})")


if __name__ == "__main__":
    main()
