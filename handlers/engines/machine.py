"""Features of this machine's processors, under the names that compiled engines require."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

_CPU = Path("/proc/cpuinfo")


def features(device: torch.device, cpu: Path = _CPU) -> frozenset[str]:
    """Return the CPU's instruction sets as Linux names them (avx2, fma, ...) and its kind (x86_64, aarch64).

    For a GPU it is the compute capability (sm_90). If Linux does not list instruction sets, the result is the kind
    alone, and no compiled engine runs here.
    """
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return frozenset({f"sm_{major}{minor}"})
    try:
        lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":") for line in lines)
    flags = next((value for name, _, value in named if name.strip() in ("flags", "Features")), "")
    return frozenset(flags.split()) | {platform.machine()}


def processor(device: torch.device | None = None, cpu: Path = _CPU) -> str:
    """Return the model name of a GPU, or without a device of the CPU; or its kind if Linux does not name it."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines() if cpu.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
