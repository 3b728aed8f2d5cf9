"""The workers that a launch wants: those that predict and those that explain, of each of its versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from serving import explainers, model_config
from serving.errors import ConfigError, ManagementError
from serving.launch import Launch
from serving.management import Management

# A CPU gains nothing from explaining several images at once, a GPU does. What waits for a worker that is busy waits in
# the front door, which lets the earliest deadline go first.
CPU_AT_ONCE = 1
GPU_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Part:
    """What a version is registered as in TorchServe; `workers` None leaves their number to the archive."""

    name: str
    version: str
    workers: int | None
    explains: bool = False


def parts(launch: Launch) -> list[Part]:
    """All that a launch registers."""
    found = []
    for archive in launch.archives:
        wanted = launch.state.models[archive.model].versions[archive.version].workers
        found.append(Part(archive.model, archive.version, wanted))
        if launch.explain_workers:
            found.append(Part(explainers.name(archive.model), archive.version, launch.explain_workers, explains=True))
    return found


def predicting(launch: Launch) -> int:
    """How many workers predict when all of them run, as the launch or the archives want them."""
    total = 0
    for archive in launch.archives:
        wanted = launch.state.models[archive.model].versions[archive.version].workers
        try:
            total += wanted or model_config.of_archive(archive.path).minWorkers
        except ConfigError:  # an archive that something else made: TorchServe starts one
            total += 1
    return total


def count(launch: Launch, management: Management) -> list[tuple[int, int]]:
    """READY and wanted workers of each part; (0, 0) while TorchServe does not answer yet."""
    counts = []
    for part in parts(launch):
        try:
            found = management.find(part.name, part.version)
        except ManagementError:
            found = None
        counts.append((found.ready, found.wanted) if found else (0, 0))
    return counts


def scale(launch: Launch, management: Management, seconds: float, say: Callable[[str], None]) -> None:
    """Start the workers that are wanted beyond, or without, those of the archive, and wait until they are READY."""
    for part in parts(launch):
        found = management.find(part.name, part.version)
        if part.workers is not None and found is not None and found.wanted != part.workers:
            management.scale(part.name, part.version, part.workers)
            management.await_ready(part.name, part.version, seconds, progress=say)


def explain_at_once(launch: Launch, management: Management) -> int:
    """How many explanations TorchServe is sent at once, the others wait at the door: one in work and one at hand for
    each explain worker on a CPU, two batches on a GPU; 0 without explain workers.
    """
    found = [management.find(part.name, part.version) for part in parts(launch) if part.explains]
    workers = [worker for version in found if version is not None for worker in version.workers]
    return sum(GPU_AT_ONCE if worker.gpu else CPU_AT_ONCE for worker in workers)
