"""Torchlight as a system under test: served behind its proxy, and stopped as users stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.compare.systems import PeerError, Request
from benchmarks.compare.workload import REPOSITORY, VERSION, Workload
from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.runtime.instance import Instance, Ports
from serving.torchserve import registrations
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import RoleCounts

NAME = "torchlight"
START_SECONDS = 180.0
READY_SECONDS = 120.0
STOP_SECONDS = 60.0
# Flags of a server that has only predict workers.
PREDICT_ONLY = ("--explain-workers", "0", "--unbatched-worker", "0")


def image_request(workload: Workload, route: str = "predictions", query: str = "") -> Callable[[bytes], Request]:
    """Return a function that makes the request for an image: its raw bytes, as `curl -T` sends them."""
    headers = {"Content-Type": "application/octet-stream"}
    return lambda image: Request(f"/{route}/{workload.name}{query}", headers, image)


def parse_response(body: bytes) -> tuple[int, float]:
    """Return index and probability of the top class."""
    top = json.loads(body)["predictions"][0]
    return int(top["index"]), float(top["probability"])


@contextmanager
def serve(workload: Workload, port: int, *flags: str) -> Iterator[str]:
    """Run `scripts.serve` with further flags. The context is the URL of the proxy.

    Raises:
        PeerError: the server did not become READY. The message has the last line of its log.
    """
    log = workload.home / f"serve-{port}.log"
    command = [sys.executable, "-m", "scripts.serve", "--foreground", "--port", str(port), "--model", workload.name]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            [*command, *flags], cwd=workload.home, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _await(child, Instance(Ports(port), workload.home / ".run"), log)
        yield f"http://127.0.0.1:{port}"
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if child.poll() is None:
                child.send_signal(number)
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    continue


def management(workload: Workload, port: int) -> Management:
    """Return the client of TorchServe behind the server that `serve` started on a port."""
    return Management.of(Instance(Ports(port), workload.home / ".run"))


@contextmanager
def extra_version(workload: Workload, management: Management) -> Iterator[None]:
    """Register the archive as another model, with all the workers of a version. The context starts when it is READY."""
    name = f"{workload.name}-again"
    archive = Archive(store.path_of(workload.name, VERSION, workload.home / store.ROOT), name, VERSION)
    role_registrations = registrations.of(archive, None, RoleCounts())
    for registration in role_registrations:
        management.register(
            registration.name,
            registration.archive,
            registration.workers or 1,
            registration.batch_size,
            registration.max_batch_delay,
        )
    for registration in role_registrations:
        management.await_ready(registration.name, VERSION, READY_SECONDS)
    yield
    for registration in role_registrations:
        management.unregister(registration.name, VERSION)


def _await(child: subprocess.Popen[bytes], instance: Instance, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        status = instance.status()
        if status is not None and status.pid == child.pid and status.state == "ready":
            return
        if child.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise PeerError(f"Torchlight is not READY: {lines[-1] if lines else 'no output'}")
        time.sleep(0.05)
