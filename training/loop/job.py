"""A training job: what to train, how, on which data, and where its release goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from models.release import ROOT
from training.data.dataset import Dataset, Split
from training.loop.distributed import World
from training.loop.history import Observer
from training.recipe import Recipe


def silent(message: str) -> None:
    """Ignore a message: the default `log` of a job."""


CPU = torch.device("cpu")
ALONE = World()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """Everything that a training needs; each of its steps takes this value.

    Attributes:
        root: folder of all releases.
        resume: continue from the checkpoint of a stopped training.
        restart: delete that checkpoint and start again.
        world: the processes that train together; the first one logs and writes.
        observers: called with the progress of the training.
        data_warnings: problems of the data, one sentence each, for the report.
        ood_data: name and images of the user's out-of-distribution data, one more set of the report's battery.
        log: called with each message for the user.
    """

    dataset: Dataset
    model: str
    version: str
    recipe: Recipe
    root: Path = ROOT
    resume: bool = False
    restart: bool = False
    device: torch.device = CPU
    world: World = ALONE
    observers: Sequence[Observer] = ()
    data_warnings: Sequence[str] = ()
    ood_data: tuple[str, Split] | None = None
    log: Callable[[str], None] = silent
