"""The in-process ceiling: decoding and the network in a loop, a process per core. No server can exceed it."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch._inductor import aoti_load_package

from benchmarks.compare.systems.peer import Model
from handlers.engines import Engine
from handlers.engines.compiled import Program
from handlers.engines.eager import Eager
from handlers.modalities.image import images as image_code
from models import architectures
from models.card import Input
from models.tensors import load_tensors

# Time for a process to load. If one fails, the others stop waiting after this time.
LOAD_SECONDS = 120.0
CPU = torch.device("cpu")
_start_barrier: Any = None


def measure(model: Model, images: list[bytes], seconds: float, cores: int, compiled: bool) -> float:
    """Return images per second of all processes, with the project's own decoding and engines, in batches.

    Args:
        model: the model that all systems serve.
        images: encoded images, which each process cycles through.
        seconds: length of the measurement.
        cores: number of processes, each with one thread.
        compiled: use the model's compiled engine, else eager float32.

    Raises:
        ValueError: there are no images, or the model has no compiled engine.
    """
    if not images:
        raise ValueError("the ceiling needs at least one image")
    if compiled and model.engine is None:
        raise ValueError(f"{model.name} has no compiled program")
    context = multiprocessing.get_context("spawn")
    # All start together when the last one is ready. Otherwise the first one would have all cores for a while.
    barrier = context.Barrier(cores)
    picklable = replace(model, arguments=dict(model.arguments))
    with ProcessPoolExecutor(cores, context, initializer=_initialize, initargs=(barrier,)) as pool:
        work = [pool.submit(_loop, picklable, images, seconds, compiled) for _ in range(cores)]
        return sum(rate.result() for rate in work)


def _initialize(barrier: Any) -> None:
    global _start_barrier
    _start_barrier = barrier


def _loop(model: Model, images: Sequence[bytes], seconds: float, compiled: bool) -> float:
    torch.set_num_threads(1)
    spec = Input(size=model.size, resize=model.resize, crop=model.crop, mean=model.mean, std=model.std)
    network = _program(model) if compiled else _eager(model, spec)
    cycle = itertools.cycle(images)

    def batch() -> None:
        decoded = (image_code.picture(image, spec) for image in itertools.islice(cycle, model.batch))
        network.outputs(image_code.stack([image_code.pixels(image, spec) for image in decoded]))

    batch()
    _start_barrier.wait(LOAD_SECONDS)
    count, start = 0, time.monotonic()
    while (elapsed := time.monotonic() - start) < seconds:
        batch()
        count += model.batch
    return count / elapsed


def _program(model: Model) -> Engine:
    return Program("compiled", CPU, aoti_load_package(str(model.engine)))


def _eager(model: Model, spec: Input) -> Engine:
    network = architectures.build(model.architecture, **model.arguments)
    network.load_state_dict(load_tensors(model.weights))
    return Eager(network, spec, CPU)
