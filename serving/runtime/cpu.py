"""How many processor cores this process may use, and how the server's parts share them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
# More OpenMP threads than this gain a small batch nothing.
MOST_THREADS = 16


def usable(quota: Path = _CGROUP_QUOTA) -> int:
    """Cores that this process may use: its affinity mask, and a container's quota (cgroup v2) where that is smaller."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = quota.read_text(encoding="ascii").split()
        if limit != "max":
            cores = min(cores, max(1, int(limit) // int(period)))
    except (OSError, ValueError):  # no cgroup v2 here
        pass
    return cores


def has_gpu() -> bool:
    """Whether TorchServe will find NVIDIA GPUs: it asks nvidia-smi (org.pytorch.serve.util.ConfigManager)."""
    return shutil.which("nvidia-smi") is not None


def threads_per_worker(workers: int, cores: int) -> int:
    """OpenMP threads for each of `workers` processes, with one core left to Java and the proxy.

    TorchServe gives every worker all cores. Two OpenMP threads a worker on busy cores took ten times as long for a step
    as one, because they wait for each other spinning.
    """
    return max(1, min(MOST_THREADS, (cores - 1) // max(1, workers)))
