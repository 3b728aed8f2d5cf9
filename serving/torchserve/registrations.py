"""The parts of a version in TorchServe: what each role of `serving/torchserve/worker_roles.py` is registered with.

TorchServe puts requests into batches by registration: those of explanations are of one on a CPU, and a prediction that
has no company (`serving/proxy/unbatched_routing.py`) waits for no batch to fill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.artifacts import model_config
from serving.artifacts.model_config import ModelConfig
from serving.artifacts.store import Archive
from serving.errors import ConfigError, ManagementError
from serving.runtime import cpu
from serving.server.launch_options import Launch
from serving.torchserve.management import Management
from serving.torchserve.worker_roles import Role, RoleCounts

# A CPU gains nothing from explaining several images at once, a GPU does. What waits for a worker that is busy waits in
# the proxy, which lets the earliest deadline go first.
CPU_AT_ONCE = 1
GPU_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Part:
    """What a version is registered as in TorchServe.

    Attributes:
        archive: the file's name in the store.
        workers: None where neither a person nor the archive says how many: TorchServe starts one a core.
        batch_size: the most requests in one batch.
        max_batch_delay: milliseconds that a request waits for others; a batch of one waits for nobody.
    """

    name: str
    version: str
    archive: str
    workers: int | None
    batch_size: int
    max_batch_delay: int
    role: Role = Role.PREDICT


def of(archive: Archive, workers: int | None, role_counts: RoleCounts) -> list[Part]:
    """The parts of one version, those that predict first; `workers` None leaves their number to the archive.

    An archive that something else made carries no settings of ours: its handler gets one request at a time, as from
    TorchServe by default.
    """
    try:
        config = model_config.of_archive(archive.path)
        workers = workers or config.minWorkers
    except ConfigError:
        config = ModelConfig(batchSize=1)
    file, delay = archive.path.name, config.maxBatchDelay
    found = [Part(archive.model, archive.version, file, workers, config.batchSize, delay)]
    explained = 1 if config.deviceType == "cpu" or not cpu.has_gpu() else config.batchSize
    for role, count, size in (
        (Role.EXPLAIN, role_counts.explain, explained),
        (Role.UNBATCHED, role_counts.unbatched, 1),
    ):
        if count:
            found.append(Part(role.of(archive.model), archive.version, file, count, size, delay, role))
    return found


def parts(launch: Launch) -> list[Part]:
    """All that a launch registers, in its order."""
    wanted = launch.state.models
    return [
        part
        for archive in launch.archives
        for part in of(archive, wanted[archive.model].versions[archive.version].workers, launch.role_counts)
    ]


def predicting(parts: Sequence[Part]) -> int:
    """How many workers predict when all of them run; one for each version that does not say."""
    return sum(part.workers or 1 for part in parts if part.role is Role.PREDICT)


def count(parts: Sequence[Part], management: Management) -> list[tuple[int, int]]:
    """READY and wanted workers of each part; (0, 0) while TorchServe does not answer yet."""
    counts = []
    for part in parts:
        try:
            found = management.find(part.name, part.version)
        except ManagementError:
            found = None
        counts.append((found.ready, found.wanted) if found else (0, 0))
    return counts


def scale(parts: Sequence[Part], management: Management, seconds: float, say: Callable[[str], None]) -> None:
    """Wait until each part has as many READY workers as are wanted, where an archive's own number came before that."""
    for part in parts:
        found = management.find(part.name, part.version)
        if part.workers is not None and found is not None and found.wanted != part.workers:
            management.scale(part.name, part.version, part.workers)
            management.await_ready(part.name, part.version, seconds, progress=say)


def explain_at_once(parts: Sequence[Part], management: Management) -> int:
    """How many explanations TorchServe is sent at once, the others wait at the proxy: one in work and one at hand for
    each explain worker on a CPU, two batches on a GPU; 0 without explain workers.
    """
    found = [management.find(part.name, part.version) for part in parts if part.role is Role.EXPLAIN]
    workers = [worker for version in found if version is not None for worker in version.workers]
    return sum(GPU_AT_ONCE if worker.gpu else CPU_AT_ONCE for worker in workers)
