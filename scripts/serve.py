"""Serve the models of the store behind the proxy. Trains and archives the digits model first if the store is empty.

Returns when every worker is READY. The server then runs in the background, or in the terminal with --foreground.

For example:

    torchlight serve --port 8081 --mode production --explain-workers 2
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from models.release import version_key
from scripts import archive, cli, flag_values
from scripts.command import UsageError, say
from scripts.dialect import ENVIRONMENT_VARIABLE
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


@dataclass(frozen=True, slots=True)
class ServeFlags:
    """Flags of the command.

    Attributes:
        model: serve only this model (default: what ran last, else each in the store)
        version: serve this version (default: what was promoted last, else the newest)
        port: port of the proxy; port + 1 to port + 8 are used too
        host: address of the proxy
        mode: production requires a bearer token: $TORCHLIGHT_TOKEN, or a random one
        proxy: 0 serves TorchServe itself, without HAProxy
        explain_workers: explain workers of each version; with 0, or with --proxy 0, predict workers explain
        unbatched_worker: 1 gives each version a worker for single predictions, which then do not wait for a batch; 0
            saves its memory
        cors_origins: origins whose web pages may read responses, such as https://lab.example,http://localhost:3000, or
            "*" for all (default: none)
        keep_alive: how long a connection may wait for its next request: longer than the idle timeout of a load
            balancer in front, which is 60 for AWS and nginx, and 600 for Google
        container: settings for the inside of a container: train nothing
        foreground: run in the terminal, and write the log to it
        log_file: with --foreground: file of the log, which rotates (default: the terminal)
        log_mb: size in megabytes after which a new log file starts
        log_files: number of older log files, server.log.1 and so on
    """

    model: str | None = None
    version: str | None = None
    port: int = 8080
    host: str = "127.0.0.1"
    mode: Literal["development", "production"] = "development"
    proxy: Literal[1, 0] = 1
    explain_workers: Annotated[int, Parameter(validator=flag_values.between(0, 256))] = 1
    unbatched_worker: Literal[1, 0] = 1
    cors_origins: str = ""
    keep_alive: Annotated[
        int, Parameter(metavar="SECONDS", validator=flag_values.between(1, MAX_KEEP_ALIVE_SECONDS))
    ] = KEEP_ALIVE_SECONDS
    container: bool = False
    foreground: bool = False
    log_file: Path | None = None
    log_mb: Annotated[float, Parameter(validator=flag_values.between(0.1, 100_000))] = 20.0
    log_files: Annotated[int, Parameter(validator=flag_values.between(0, 1000))] = 4

    def words(self) -> list[str]:
        """Return these flags as words of a command line."""
        words = []
        for field in fields(self):
            flag, value = f"--{field.name.replace('_', '-')}", getattr(self, field.name)
            if value is True:
                words.append(flag)
            elif value is not None and value is not False:
                words.append(f"{flag}={value}")
        return words


DEFAULTS = ServeFlags()


def main(*, flags: Annotated[ServeFlags, Parameter(name="*")] = DEFAULTS) -> None:
    """Start the server."""
    origins = cors.parse(flags.cors_origins)
    if origins and not flags.proxy:
        raise UsageError("--cors-origins needs the proxy: leave --proxy=0 out")
    token = client_token.from_environment()

    instance = Instance(Ports(flags.port))
    if instance.running():
        raise StartError(
            f"a server already runs on port {flags.port}: stop it with `torchlight stop --port {flags.port}`"
        )
    if (words := last_run.crash(instance)) is not None:
        say(words)
    if not store.archives() and flags.model in (None, archive.BUNDLED) and not flags.container:
        archive.run(archive.BUNDLED, flags.version)
    # The host name of a container is its id by default. It stays the same over restarts, and a new container has
    # another.
    order = socket.gethostname() if flags.container else None
    desired = startup.desired_state(instance.folder, flags.model, flags.version, order)
    present, missing = startup.stored_archives(desired)
    for model in desired.models:
        worker_roles.check_model_name(model)
    chosen, remarks = startup.check_archives(desired, present)
    for sentence in [*missing, *remarks, *_newer(desired)]:
        say(sentence)
    if flags.foreground:
        role_counts = RoleCounts(flags.explain_workers, flags.unbatched_worker)
        launch = Launch(
            archives=chosen,
            state=desired,
            host=flags.host,
            proxy=flags.proxy == 1,
            production=flags.mode == "production",
            token=token,
            role_counts=role_counts if flags.proxy == 1 else PREDICT_ONLY,
            cors_origins=origins,
            keep_alive_seconds=flags.keep_alive,
            container=flags.container,
        )
        size = int(flags.log_mb * 1_000_000)
        output = LogFile(flags.log_file, size, flags.log_files) if flags.log_file else StandardOutput()
        sys.exit(Supervisor(instance, launch, Log(output)).run())
    _in_background(instance, flags)


def _newer(desired: State) -> list[str]:
    """Return sentences on archives that are newer than the served versions, which a start does not promote."""
    sentences = []
    for newest in {stored.model: stored for stored in store.archives()}.values():
        model = desired.models.get(newest.model)
        if model and version_key(newest.version) > version_key(model.default) and newest.version not in model.versions:
            flags = f"--model {newest.model} --version {newest.version}"
            sentences.append(
                f"{newest.path} is newer than {model.default}: `torchlight versions register {flags}` and "
                f"`torchlight versions promote {flags}` serve it"
            )
    return sentences


def _in_background(instance: Instance, flags: ServeFlags) -> None:
    """Start the same command with --foreground, detached, and print its progress until it is ready."""
    private_folder.make(instance.folder)
    atomic_files.check_space(instance.folder)  # without space there is neither a log nor a status to report it
    words = [*flags.words(), f"--log-file={instance.log}", "--foreground"]
    environment = {**os.environ, "PYTHONPATH": str(cli.ROOT)}
    environment.pop(ENVIRONMENT_VARIABLE, None)  # logs are written with flags
    with os.fdopen(open_log(instance.log), "ab") as log:
        start = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "scripts.serve", *words],
            env=environment,
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
                say(status.message)
                return
            if status.message != shown:
                shown = status.message
                say(shown)
        time.sleep(0.1)
    child.terminate()
    with instance.log.open("rb") as log:
        log.seek(min(start, log.seek(0, os.SEEK_END)))  # an earlier run wrote the lines before that
        lines = log.read().decode(errors="replace").splitlines()
    reason = next((line for line in reversed(lines) if line.startswith("error: ")), "error: the server did not start")
    raise StartError(f"{reason.removeprefix('error: ')} (log: {os.path.relpath(instance.log)})")


if __name__ == "__main__":
    cli.run("serve")
