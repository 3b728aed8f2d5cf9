"""Settings that are tuned, and their candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from serving.artifacts.model_config import HandlerConfig, ModelConfig
from serving.runtime import cpu

BATCH_SIZES = (1, 4, 8, 16, 32, 64)
# Not 0: TorchServe takes a YAML's 0 for "not set", and waits 100 ms (ModelManager.createModel).
DELAYS_MS = (1, 2, 5)

Coordinate = Literal["cores", "batch_size", "delay_ms"]
COORDINATES: tuple[Coordinate, ...] = ("cores", "batch_size", "delay_ms")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of a model's workers: `threads` are OpenMP threads per worker, `delay_ms` is maxBatchDelay."""

    workers: int
    threads: int
    batch_size: int
    delay_ms: int

    def __str__(self) -> str:
        return f"workers {self.workers}, threads {self.threads}, batchSize {self.batch_size}, delay {self.delay_ms} ms"

    def config(self, base: ModelConfig) -> ModelConfig:
        """Return `base` with these settings, and everything else unchanged."""
        handler = (base.handler or HandlerConfig()).model_dump(exclude_unset=True) | {"threads": self.threads}
        changed = {
            "minWorkers": self.workers,
            "maxWorkers": self.workers,
            "batchSize": self.batch_size,
            "maxBatchDelay": self.delay_ms,
            "handler": HandlerConfig.model_validate(handler),
        }
        return base.model_copy(update=changed)


def default(usable: int) -> WorkerSettings:
    """Return the default settings of a model on `usable` cores."""
    plain = ModelConfig()
    threads = cpu.threads_per_worker(plain.minWorkers, usable)
    return WorkerSettings(plain.minWorkers, threads, plain.batchSize, plain.maxBatchDelay)


def divisions(usable: int) -> list[tuple[int, int]]:
    """Return divisions of the cores, as (workers, threads per worker), with and without a core for Java and proxy."""
    workers = {2**power for power in range(usable.bit_length()) if 2**power <= usable} | {usable}
    shared = {(count, max(1, free // count)) for count in workers for free in (usable, usable - 1)}
    return sorted((count, min(threads, cpu.MAX_THREADS)) for count, threads in shared)


def neighbors(best: WorkerSettings, coordinate: Coordinate, usable: int) -> list[list[WorkerSettings]]:
    """Return candidates with one coordinate of `best` changed: each list goes in one direction, away from `best`."""
    if coordinate == "cores":
        return [[replace(best, workers=workers, threads=threads)] for workers, threads in divisions(usable)]
    if coordinate == "batch_size":
        return [[replace(best, batch_size=size) for size in sizes] for sizes in _away(BATCH_SIZES, best.batch_size)]
    if best.batch_size == 1:  # a batch of one does not wait
        return []
    return [[replace(best, delay_ms=delay) for delay in delays] for delays in _away(DELAYS_MS, best.delay_ms)]


def _away(values: Sequence[int], start: int) -> tuple[list[int], list[int]]:
    return [value for value in reversed(values) if value < start], [value for value in values if value > start]
