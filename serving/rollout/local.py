"""Factory of the versions of a server on this machine."""

from __future__ import annotations

from pathlib import Path

from serving.artifacts import store
from serving.errors import StartError
from serving.proxy.routing import FILE_NAME as MAP
from serving.proxy.routing import SOCKET, Routing
from serving.rollout.golden_check import HttpGoldenCheck
from serving.rollout.interfaces import Log
from serving.rollout.journal import Journal
from serving.rollout.registry import TorchServeRegistry
from serving.rollout.state_file import StateFile
from serving.rollout.versions import Versions
from serving.runtime import last_run
from serving.runtime.instance import Instance
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import RoleCounts
from torchlight_client import Client


def versions_of(instance: Instance, log: Log = lambda message: None, root: Path = store.ROOT) -> Versions:
    """Return the versions of a running server.

    Args:
        log: gets a sentence on each step that a person may wait for.
        root: the model store.

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
    folder = instance.folder
    return Versions(
        registry=TorchServeRegistry(Management.of(instance), RoleCounts.of(status), folder),
        router=Routing(folder / MAP, Path(status.temp) / SOCKET),
        # One attempt: a version whose worker dies on a golden image must not pass at the second one.
        golden_check=HttpGoldenCheck(lambda: Client(instance.url, instance.token(), retries=0)),
        state_file=StateFile(folder),
        journal=Journal(folder),
        root=root,
        log=log,
    )
