"""Registrations of a version in TorchServe: one for each role of `serving/torchserve/worker_roles.py`.

TorchServe fills batches by registration. Explanations run one at a time on a CPU, and a single prediction does not wait
for a batch (`serving/proxy/unbatched_routing.py`), so both have a registration with its own batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.artifacts import model_config
from serving.artifacts.model_config import ModelConfig
from serving.artifacts.store import Archive
from serving.errors import ConfigError, ManagementError
from serving.runtime import cpu
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import Role, RoleCounts

# A CPU gains nothing from explaining several images at once, a GPU does. Explanations beyond that wait in the proxy,
# which sends the earliest deadline first.
CPU_AT_ONCE = 1
GPU_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Registration:
    """The arguments with which one role of a version is registered in TorchServe.

    Attributes:
        archive: the file's name in the store.
        workers: None if neither the user nor the archive gives a number: TorchServe then starts one per core.
        batch_size: the maximum number of requests in a batch.
        max_batch_delay: milliseconds that a request waits for its batch to fill; a batch of one never waits.
    """

    name: str
    version: str
    archive: str
    workers: int | None
    batch_size: int
    max_batch_delay: int
    role: Role = Role.PREDICT


def of(archive: Archive, workers: int | None, role_counts: RoleCounts) -> list[Registration]:
    """Return the registrations of one version, the predict role first.

    An archive that another tool made has no settings of ours: its handler gets one request at a time, which is
    TorchServe's default.

    Args:
        workers: number of predict workers; None leaves it to the archive.
    """
    try:
        config = model_config.of_archive(archive.path)
        workers = workers or config.minWorkers
    except ConfigError:
        config = ModelConfig(batchSize=1)
    file, delay = archive.path.name, config.maxBatchDelay
    registrations = [Registration(archive.model, archive.version, file, workers, config.batchSize, delay)]
    explain_batch_size = 1 if config.deviceType == "cpu" or not cpu.has_gpu() else config.batchSize
    for role, count, batch_size in (
        (Role.EXPLAIN, role_counts.explain, explain_batch_size),
        (Role.UNBATCHED, role_counts.unbatched, 1),
    ):
        if count:
            name = role.registered_name(archive.model)
            registrations.append(Registration(name, archive.version, file, count, batch_size, delay, role))
    return registrations


def predict_workers(registrations: Sequence[Registration]) -> int:
    """Return the number of predict workers when all of them run, counting one for a version without a number."""
    return sum(registration.workers or 1 for registration in registrations if registration.role is Role.PREDICT)


def count(registrations: Sequence[Registration], management: Management) -> list[tuple[int, int]]:
    """Return the READY and the configured workers of each registration; (0, 0) while TorchServe does not answer."""
    counts = []
    for registration in registrations:
        try:
            version = management.find(registration.name, registration.version)
        except ManagementError:
            version = None
        counts.append((version.ready, version.configured) if version else (0, 0))
    return counts


def scale(
    registrations: Sequence[Registration], management: Management, seconds: float, log: Callable[[str], None]
) -> None:
    """Scale each registration to its number of workers, where the archive's own number came first, and wait for them.

    Args:
        seconds: time limit for the workers of one registration.
        log: called with each line of progress.
    """
    for registration in registrations:
        name, version, workers = registration.name, registration.version, registration.workers
        registered = management.find(name, version)
        if workers is not None and registered is not None and registered.configured != workers:
            management.scale(name, version, workers)
            management.await_ready(name, version, seconds, progress=log)


def explain_at_once(registrations: Sequence[Registration], management: Management) -> int:
    """Return how many explanations may be in TorchServe at once; the others wait in the proxy.

    Each explain worker counts as CPU_AT_ONCE or GPU_AT_ONCE. 0 means that there is no explain worker.
    """
    versions = [
        management.find(registration.name, registration.version)
        for registration in registrations
        if registration.role is Role.EXPLAIN
    ]
    workers = [worker for version in versions if version is not None for worker in version.workers]
    return sum(GPU_AT_ONCE if worker.gpu else CPU_AT_ONCE for worker in workers)
