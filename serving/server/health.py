"""Whether a server is fit to be sent requests: what a container's health check and a load balancer want to know."""

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
    """What is amiss with a server on this machine, a sentence each; none where it is healthy.

    Healthy means: it is up, the proxy answers, and all workers of every version that it sends requests to are
    READY. TorchServe's own /ping says Healthy while workers load or die.
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
    asked_for = (key.partition("/") for key in routing.read(instance.folder / routing.FILE_NAME))
    named = [(model, version) for model, slash, version in asked_for if slash]
    try:
        found = [_version(management, model, version, RoleCounts.of(status)) for model, version in named]
    except ManagementError as error:
        return [str(error)]
    return [sentence for sentences in found for sentence in sentences]


def _headers(instance: Instance) -> dict[str, str]:
    """Return the headers of a health request. The proxy needs no token for it, TorchServe without the proxy does."""
    token = instance.token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _version(management: Management, model: str, version: str, role_counts: RoleCounts) -> list[str]:
    sentences = []
    for name in role_counts.registered_names(model):
        found = management.find(name, version)
        if found is None:
            sentences.append(f"{name} {version} is not registered")
        elif not found.ready >= found.configured > 0:
            sentences.append(f"{name} {version}: {found.ready} of {found.configured} READY")
    return sentences
