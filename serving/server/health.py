"""Health of a server, for a container's health check and for load balancers."""

from __future__ import annotations

import requests

from serving.errors import ManagementError
from serving.proxy import routing
from serving.runtime import loopback
from serving.runtime.instance import Instance
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import RoleCounts

TIMEOUT_SECONDS = 5.0


def problems(instance: Instance) -> list[str]:
    """Return the problems of a server on this machine, a sentence each. A healthy server has none.

    A server is healthy if it runs, its proxy answers, and all workers of every routed version are READY. TorchServe's
    own /ping says Healthy while workers load or die.
    """
    status = instance.status()
    if status is None or not instance.running():
        return [f"no server runs on port {instance.ports.public}"]
    if status.state not in ("ready", "stopping"):
        return [f"{status.state}: {status.message}"]
    try:
        url = f"http://127.0.0.1:{instance.ports.public}/ping"
        answer = loopback.request("GET", url, headers=_headers(instance), timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        return [f"the proxy does not answer ({type(error).__name__})"]
    management = Management.of(instance, TIMEOUT_SECONDS)
    keys = (key.partition("/") for key in routing.read(instance.folder / routing.FILE_NAME))
    versions = [(model, version) for model, slash, version in keys if slash]
    try:
        problems_by_version = [
            _version(management, model, version, RoleCounts.of(status)) for model, version in versions
        ]
    except ManagementError as error:
        return [str(error)]
    return [problem for version_problems in problems_by_version for problem in version_problems]


def _headers(instance: Instance) -> dict[str, str]:
    """Return the headers of a health request. Only TorchServe without the proxy needs a token for it."""
    token = instance.token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _version(management: Management, model: str, version: str, role_counts: RoleCounts) -> list[str]:
    sentences = []
    for name in role_counts.registered_names(model):
        registered = management.find(name, version)
        if registered is None:
            sentences.append(f"{name} {version} is not registered")
        elif not registered.ready >= registered.configured > 0:
            sentences.append(f"{name} {version}: {registered.ready} of {registered.configured} READY")
    return sentences
