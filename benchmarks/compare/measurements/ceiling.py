"""What no server can exceed here: decode and network in a loop, one process a core, nothing to serve."""

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

# For a process to load; if one cannot, the others do not wait for ever.
LOAD_SECONDS = 120.0
CPU = torch.device("cpu")
_gate: Any = None


def measure(model: Model, images: list[bytes], seconds: float, cores: int, engine: bool) -> float:
    """Images a second of all processes together, through the project's own decoding and engines, in batches.

    Args:
        images: encoded; each process takes them in turn.
        cores: how many processes; each computes with one thread.
        engine: the model's compiled program, else eager float32.

    Raises:
        ValueError: no images, or no compiled program where one is asked for.
    """
    if not images:
        raise ValueError("the ceiling needs at least one image")
    if engine and model.engine is None:
        raise ValueError(f"{model.name} has no compiled program to find the ceiling of")
    context = multiprocessing.get_context("spawn")
    # All begin together, after the last has loaded and warmed up: else the first would have the cores to itself.
    gate = context.Barrier(cores)
    plain = replace(model, arguments=dict(model.arguments))
    with ProcessPoolExecutor(cores, context, initializer=_enter, initargs=(gate,)) as pool:
        work = [pool.submit(_loop, plain, images, seconds, engine) for _ in range(cores)]
        return sum(rate.result() for rate in work)


def _enter(gate: Any) -> None:
    global _gate
    _gate = gate


def _loop(model: Model, images: Sequence[bytes], seconds: float, engine: bool) -> float:
    torch.set_num_threads(1)
    spec = Input(size=model.size, resize=model.resize, crop=model.crop, mean=model.mean, std=model.std)
    network = _program(model) if engine else _eager(model, spec)
    turn = itertools.cycle(images)

    def batch() -> None:
        pictures = (image_code.picture(image, spec) for image in itertools.islice(turn, model.batch))
        network.outputs(image_code.stack([image_code.pixels(picture, spec) for picture in pictures]))

    batch()
    _gate.wait(LOAD_SECONDS)
    done, start = 0, time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        batch()
        done += model.batch
    return done / passed


def _program(model: Model) -> Engine:
    return Program("compiled", CPU, aoti_load_package(str(model.engine)))


def _eager(model: Model, spec: Input) -> Engine:
    network = architectures.build(model.architecture, **model.arguments)
    network.load_state_dict(load_tensors(model.weights))
    return Eager(network, spec, CPU)
