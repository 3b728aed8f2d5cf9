"""Cost of a training and its model: time, energy, size, and operations per image."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Linux's view of RAPL, the energy counters of Intel and AMD processors (Documentation/power/powercap). Since Linux 5.10
# only root can read them.
RAPL = Path("/sys/class/powercap")
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits")
# Seconds between two readings: RAPL's counters wrap after some minutes, and a GPU reports its current power only.
INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one release.

    Attributes:
        seconds: wall-clock time of the training.
        cpu_seconds: CPU time of the training, all threads and workers together.
        joules: energy of the processors in `counted` during the training, including other load; None if unknown.
        counted: processors with a known energy: "CPU", "GPU".
        parameters: number of trainable parameters.
        flops: operations of a forward pass for one image; a multiply-add counts as two.
        weight_bytes: size of the weights file.
    """

    seconds: float
    cpu_seconds: float
    joules: float | None
    counted: tuple[str, ...]
    parameters: int
    flops: int
    weight_bytes: int


@dataclass(slots=True)
class Spent:
    """Time and energy of the code inside `measured()`, set at its end; see Cost."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    joules: float | None = None
    counted: tuple[str, ...] = ()


@contextmanager
def measured(rapl: Path = RAPL) -> Iterator[Spent]:
    """Measure what runs inside, whether it ends well or not."""
    spent = Spent()
    started, cpu = time.perf_counter(), _cpu_seconds()
    meter = Meter(rapl)
    try:
        yield spent
    finally:
        spent.seconds = time.perf_counter() - started
        spent.cpu_seconds = _cpu_seconds() - cpu
        joules = meter.stop()
        spent.counted = tuple(joules)
        spent.joules = sum(joules.values()) if joules else None


def cost(spent: Spent, network: nn.Module, image_size: int, weights: Path) -> Cost:
    """Return the resources that were spent, with the size and the operations of the network."""
    return Cost(
        seconds=spent.seconds,
        cpu_seconds=spent.cpu_seconds,
        joules=spent.joules,
        counted=spent.counted,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=flops(network, image_size),
        weight_bytes=weights.stat().st_size,
    )


def flops(network: nn.Module, image_size: int) -> int:
    """Floating-point operations of convolutions, matrix products and attention for one image, forward."""
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, image_size, image_size, device=device))
    finally:
        network.train(training)
    return int(counter.get_total_flops())


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its finished child processes."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass(slots=True)
class Meter:
    """Meter that sums joules until `stop`, in a thread of its own."""

    rapl: Path
    _joules: dict[str, float] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        before = time.perf_counter(), _counters(self.rapl), _gpu_watts()
        if before[1] or before[2] is not None:
            self._thread = threading.Thread(target=self._run, args=before, name="energy", daemon=True)
            self._thread.start()

    def stop(self) -> dict[str, float]:
        """Return the joules of "CPU" and "GPU", each only if the machine has a counter."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        return self._joules

    def _run(self, then: float, counters: dict[Path, int], watts: float | None) -> None:
        while True:
            last = self._ended.wait(INTERVAL)
            now, counters_now, watts_now = time.perf_counter(), _counters(self.rapl), _gpu_watts()
            if common := counters.keys() & counters_now.keys():
                used = sum(_used(path, counters[path], counters_now[path]) for path in common)
                self._joules["CPU"] = self._joules.get("CPU", 0.0) + used / 1e6
            if watts is not None and watts_now is not None:
                self._joules["GPU"] = self._joules.get("GPU", 0.0) + (watts + watts_now) / 2 * (now - then)
            # The next reading includes the energy that a failed reading missed.
            then, counters, watts = now, counters | counters_now, watts_now
            if last:
                return


def _counters(rapl: Path) -> dict[Path, int]:
    """Return the microjoules of each processor package; empty if they cannot be read."""
    microjoules = {}
    for zone in sorted(rapl.glob("intel-rapl:*")):
        try:
            if (zone / "name").read_text().startswith("package"):
                microjoules[zone] = int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            continue
    return microjoules


def _used(zone: Path, before: int, now: int) -> int:
    """Microjoules from `before` to `now` of a counter that starts anew at its maximum."""
    return now - before if now >= before else now - before + int((zone / "max_energy_range_uj").read_text())


def _gpu_watts() -> float | None:
    """Return the current power of all GPUs in watts; None if it is unknown."""
    try:
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=10, check=True)
        return sum(float(line) for line in done.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
