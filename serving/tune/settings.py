"""What is tuned, and the values that are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from serving import cores
from serving.model_config import HandlerConfig, ModelConfig

BATCH_SIZES = (1, 4, 8, 16, 32, 64)
# Not 0: TorchServe takes a YAML's 0 for "not set", and waits 100 ms (ModelManager.createModel).
DELAYS_MS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run. `threads` are OpenMP threads of each worker, `delay_ms` what a request waits for others."""

    workers: int
    threads: int
    batch_size: int
    delay_ms: int

    def __str__(self) -> str:
        return f"workers {self.workers}, threads {self.threads}, batchSize {self.batch_size}, delay {self.delay_ms} ms"

    def config(self, base: ModelConfig) -> ModelConfig:
        """`base` with these settings, and everything else as it is there."""
        handler = (base.handler or HandlerConfig()).model_dump(exclude_unset=True) | {"threads": self.threads}
        changed = {
            "minWorkers": self.workers,
            "maxWorkers": self.workers,
            "batchSize": self.batch_size,
            "maxBatchDelay": self.delay_ms,
            "handler": HandlerConfig.model_validate(handler),
        }
        return base.model_copy(update=changed)


def default(usable: int) -> Settings:
    """What a model without settings of its own gets on so many cores."""
    plain = ModelConfig()
    threads = cores.threads_per_worker(plain.minWorkers, usable)
    return Settings(plain.minWorkers, threads, plain.batchSize, plain.maxBatchDelay)


def divisions(usable: int) -> list[tuple[int, int]]:
    """Ways to divide cores: (workers, threads of each), on all of them, or with one left to Java and the front door."""
    workers = {2**power for power in range(usable.bit_length()) if 2**power <= usable} | {usable}
    shared = {(count, max(1, free // count)) for count in workers for free in (usable, usable - 1)}
    return sorted((count, min(threads, cores.MOST_THREADS)) for count, threads in shared)


def neighbours(best: Settings, usable: int) -> Iterator[list[Settings]]:
    """What to try instead of `best`, one setting changed: each list goes on from `best` in one direction, to be
    followed for as long as it gets better.
    """
    for workers, threads in divisions(usable):
        yield [replace(best, workers=workers, threads=threads)]
    smaller = [size for size in reversed(BATCH_SIZES) if size < best.batch_size]
    larger = [size for size in BATCH_SIZES if size > best.batch_size]
    for sizes in (smaller, larger):
        yield [replace(best, batch_size=size) for size in sizes]
    if best.batch_size > 1:  # a batch of one waits for nobody
        longer = [delay for delay in DELAYS_MS if delay > best.delay_ms]
        shorter = [delay for delay in reversed(DELAYS_MS) if delay < best.delay_ms]
        for delays in (longer, shorter):
            yield [replace(best, delay_ms=delay) for delay in delays]
