"""What this machine's processors can do, under the names that compiled programs ask for."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

_CPU = Path("/proc/cpuinfo")


def features(device: torch.device, cpu: Path = _CPU) -> frozenset[str]:
    """Instruction sets of the CPU as Linux names them (avx2, fma, ...), with its kind (x86_64, aarch64); of a GPU,
    its compute capability (sm_90).

    Nothing but the kind where Linux does not say: no compiled program then claims to run here.
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
    """What a GPU, or without a device the CPU, calls itself; its kind where Linux does not say."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines() if cpu.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
