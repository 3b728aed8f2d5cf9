"""CPU cores that this process may use, and their distribution among the workers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# More OpenMP threads than this do not make a small batch faster.
MAX_THREADS = 16


def usable(quota: Path = _CGROUP_QUOTA) -> int:
    """Return the number of usable cores: the affinity mask's, or a smaller quota of the container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="ascii").split()
        if limit != "max":
            cores = min(cores, max(1, int(limit) // int(period)))
    except (OSError, ValueError):  # no cgroup v2 here
        pass
    return cores


def has_gpu() -> bool:
    """Return whether TorchServe will find NVIDIA GPUs: it runs nvidia-smi (org.pytorch.serve.util.ConfigManager)."""
    return shutil.which("nvidia-smi") is not None


def threads_per_worker(workers: int, cores: int) -> int:
    """Return the number of OpenMP threads of each of `workers` processes. One core is left to Java and the proxy.

    TorchServe would give every worker all cores. On busy cores, two OpenMP threads took ten times as long for a step as
    one thread, because they wait for each other in a busy loop.
    """
    return max(1, min(MAX_THREADS, (cores - 1) // max(1, workers)))
