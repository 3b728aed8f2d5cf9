"""The bundle itself as a server to be measured: served behind its proxy, stopped as users stop it."""

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
# Flags of a server whose every worker predicts.
PREDICT_ONLY = ("--explain-workers", "0", "--unbatched-worker", "0")


def request(workload: Workload, road: str = "predictions", query: str = "") -> Callable[[bytes], Request]:
    """Raw bytes of an image, as `curl -T` sends them."""
    return lambda image: Request(f"/{road}/{workload.name}{query}", {"Content-Type": "application/octet-stream"}, image)


def answer(body: bytes) -> tuple[int, float]:
    """The most probable class and its probability."""
    best = json.loads(body)["predictions"][0]
    return int(best["index"]), float(best["probability"])


@contextmanager
def serve(workload: Workload, port: int, *flags: str) -> Iterator[str]:
    """`scripts.serve` with further flags; the context is the URL of the proxy.

    Raises:
        PeerError: it did not become READY; with what it said.
    """
    log = workload.home / f"serve-{port}.log"
    command = [sys.executable, "-m", "scripts.serve", "--foreground", "--port", str(port), "--model", workload.name]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with log.open("w", encoding="utf-8") as out:
        child = subprocess.Popen(
            [*command, *flags], cwd=workload.home, env=environment, stdout=out, stderr=subprocess.STDOUT
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
def again(workload: Workload, management: Management) -> Iterator[None]:
    """The same archive once more, as another model, with all the workers of a version READY; gone again afterwards."""
    name = f"{workload.name}-again"
    archive = Archive(store.path_of(workload.name, VERSION, workload.home / store.ROOT), name, VERSION)
    parts = registrations.of(archive, None, RoleCounts())
    for part in parts:
        management.register(part.name, part.archive, part.workers or 1, part.batch_size, part.max_batch_delay)
    for part in parts:
        management.await_ready(part.name, VERSION, READY_SECONDS)
    yield
    for part in parts:
        management.unregister(part.name, VERSION)


def _await(child: subprocess.Popen[bytes], instance: Instance, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        status = instance.status()
        if status is not None and status.pid == child.pid and status.state == "ready":
            return
        if child.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise PeerError(f"the bundle is not READY: {lines[-1] if lines else 'it said nothing'}")
        time.sleep(0.05)
