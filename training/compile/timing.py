"""How long engines take, in turn, so that what else the machine does hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import torch

from handlers.engines import Engine

# Images at once: what a busy server's batches come to.
BATCH = 8
# Of each engine: so many times, or as often as the seconds allow, but not less than LEAST.
ROUNDS, LEAST, SECONDS = 200, 9, 12.0


def milliseconds(engines: Mapping[str, Engine], size: int) -> dict[str, float]:
    """The median milliseconds an image of each engine, by its name, in batches of BATCH on one thread."""
    pixels = torch.randint(256, (BATCH, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    took: dict[str, list[float]] = {name: [] for name in engines}
    with _one_thread():
        for engine in engines.values():
            _seconds(engine, pixels)
        began = time.perf_counter()
        for done in range(ROUNDS):
            if done >= LEAST and time.perf_counter() - began > SECONDS:
                break
            for name, engine in engines.items():
                took[name].append(_seconds(engine, pixels))
    return {name: 1000 * median(seconds) / BATCH for name, seconds in took.items()}


def _seconds(engine: Engine, pixels: torch.Tensor) -> float:
    began = time.perf_counter()
    engine.outputs(pixels).logits.cpu()  # waits for a GPU
    return time.perf_counter() - began


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
