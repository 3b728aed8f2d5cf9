"""A task that anything can learn, for tests of the loop: light on the left, or light on the right."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import architectures
from models.card import Input
from training.data.dataset import Dataset, Split
from training.loop.history import Epoch
from training.loop.job import TrainingJob
from training.loop.loader import BatchSource, InMemory
from training.loop.loop import Training
from training.recipe import Recipe

SPEC = Input(size=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def split(count: int = 64, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 100, (count, 8, 8, 3), dtype=torch.uint8, generator=generator)
    labels = [place % 2 for place in range(count)]
    for place, label in enumerate(labels):
        pixels[place, :, 4 * label : 4 * label + 4] += 120
    return Split(list(pixels.numpy()), labels, [f"{place}.png" for place in range(count)])


def dataset() -> Dataset:
    return Dataset("halves", "a lamp", "", ("left", "right"), split(64), split(40, 1), split(20, 2), "0" * 64)


def source(count: int = 64, seed: int = 0) -> InMemory:
    images = split(count, seed)
    return InMemory(torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images.images]), images)


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({"epochs": 3, "batch_size": 10, "input": {"size": 8}, **changes})


def training(
    how: Recipe | None = None,
    train: BatchSource | None = None,
    *,
    network: nn.Module | None = None,
    held: BatchSource | None = None,
    folder: Path | None = None,
    identity: str = "0" * 64,
    **more: Any,
) -> Training:
    """A training that is ready to run; the weights of its network follow from the recipe's seed."""
    how = how or recipe()
    with torch.random.fork_rng():
        torch.manual_seed(how.seed)
        network = network or architectures.build("cnn", image_size=8, classes=2)
    data = dataclasses.replace(dataset(), sha256=identity)
    job = TrainingJob(dataset=data, model="halves", version="1.0", recipe=how, **more)
    return Training(job, network, SPEC, train or source(), held or source(32, 1), folder)


@dataclasses.dataclass
class At:
    """Does something after a batch of an epoch."""

    place: tuple[int, int]
    do: Any

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        if (epoch, step) == self.place:
            self.do()

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
    def end(self) -> None: ...


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def weights(trained: Training) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


def same(one: Training, other: Training) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
