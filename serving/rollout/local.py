"""Factory of the versions and rollouts of a server on this machine."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from serving.artifacts import store
from serving.errors import StartError
from serving.proxy.routing import FILE_NAME as MAP
from serving.proxy.routing import SOCKET, Routing
from serving.proxy.traffic_split import FILE_NAME as SPLITS
from serving.proxy.traffic_split import TrafficSplits
from serving.rollout import record, resources
from serving.rollout.golden_check import HttpGoldenCheck
from serving.rollout.golden_requests import HttpGoldenRequests
from serving.rollout.interfaces import Log
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.rollout.rollout_run import Surroundings
from serving.rollout.shadow.runner import ShadowRunner
from serving.rollout.state_file import StateFile
from serving.rollout.versions import Versions
from serving.runtime import last_run
from serving.runtime.instance import Instance, Status
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import RoleCounts
from torchlight_client import Client

# The controller waits so long for another version command, which may load a version.
LOCK_SECONDS = 240.0


def versions_of(
    instance: Instance, log: Log = lambda message: None, root: Path = store.ROOT, *, by_controller: bool = False
) -> Versions:
    """Return the versions of a running server.

    Args:
        log: gets a sentence on each step that a person may wait for.
        root: the model store.
        by_controller: allow changes of a model whose rollout is active, and wait while another command runs.

    Raises:
        StartError: no server is ready there, or it runs without a proxy.
    """
    status = ready_status(instance)
    folder = instance.folder
    return Versions(
        registry=TorchServeRegistry(Management.of(instance), RoleCounts.of(status), folder),
        router=Routing(folder / MAP, Path(status.temp) / SOCKET),
        golden_check=_golden_check(instance),
        state_file=StateFile(folder, LOCK_SECONDS if by_controller else 0.0),
        journal=Journal(folder),
        root=root,
        log=log,
        rollout_of=(lambda model: None) if by_controller else partial(_active_rollout, folder),
    )


def surroundings_of(instance: Instance, log: Log, root: Path = store.ROOT) -> Surroundings:
    """Return what the rollouts of a running server read and change.

    Raises:
        StartError: no server is ready there, or it runs without a proxy.
    """
    status = ready_status(instance)
    folder, temp = instance.folder, Path(status.temp)
    role_counts = RoleCounts.of(status)
    registry = TorchServeRegistry(Management.of(instance), role_counts, folder)
    check = _golden_check(instance)
    return Surroundings(
        versions=versions_of(instance, log, root, by_controller=True),
        registry=registry,
        router=Routing(folder / MAP, temp / SOCKET),
        splits=TrafficSplits(folder / SPLITS, temp / SOCKET),
        proxy=lambda: f"{status.pid} {status.start_ticks}",
        golden=HttpGoldenRequests(check.connect, check),
        shadow=lambda record: ShadowRunner(instance, temp, record, role_counts),
        resources=partial(resources.measure, registry, temp),
        journal=Journal(folder),
        root=root,
        clock=time,
        log=log,
    )


def ready_status(instance: Instance) -> Status:
    """Return the status of a server that is ready and has a proxy.

    Raises:
        StartError: no server is ready there, or it runs without a proxy.
    """
    status = instance.status()
    port = instance.ports.public
    if not instance.running() or status is None or status.state != "ready":
        crash = last_run.crash(instance)
        raise StartError(
            f"no server is ready on port {port}: start one with `torchlight serve --port {port}`"
            + (f"\n{crash}" if crash else "")
        )
    if not status.proxy:
        raise StartError(
            f"the server on port {port} runs with --proxy=0, and versions need the proxy: leave --proxy=0 out"
        )
    return status


def _golden_check(instance: Instance) -> HttpGoldenCheck:
    # One attempt: a version whose worker dies on a golden image must not pass at the second one.
    return HttpGoldenCheck(lambda: Client(instance.url, instance.token(), retries=0))


def _active_rollout(folder: Path, model: str) -> str | None:
    active = record.active_of(folder, model)
    return None if active is None else active.id
