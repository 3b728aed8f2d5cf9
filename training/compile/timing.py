"""Timing of engines in interleaved rounds, so that other load of the machine affects all of them alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import torch

from handlers.engines import Engine

# Batch size, typical for a busy server.
BATCH = 8
# Rounds of each engine: ROUNDS, or as many as SECONDS allow, but at least LEAST.
ROUNDS, LEAST, SECONDS = 200, 9, 12.0


def milliseconds(engines: Mapping[str, Engine], size: int) -> dict[str, float]:
    """Return the median milliseconds per image of each engine, in batches of BATCH on one thread."""
    pixels = torch.randint(256, (BATCH, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    took: dict[str, list[float]] = {name: [] for name in engines}
    with _one_thread():
        for engine in engines.values():
            _seconds(engine, pixels)
        start = time.perf_counter()
        for done in range(ROUNDS):
            if done >= LEAST and time.perf_counter() - start > SECONDS:
                break
            for name, engine in engines.items():
                took[name].append(_seconds(engine, pixels))
    return {name: 1000 * median(seconds) / BATCH for name, seconds in took.items()}


def _seconds(engine: Engine, pixels: torch.Tensor) -> float:
    start = time.perf_counter()
    engine.outputs(pixels).logits.cpu()  # waits for a GPU
    return time.perf_counter() - start


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
