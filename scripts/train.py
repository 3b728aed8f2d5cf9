"""Train a model and write a release: releases/MODEL/VERSION/.

A recipe sets all options; flags change single values of it. Ctrl-C stops at the next batch and writes a checkpoint.
--resume continues from the last checkpoint, also after a kill, and gives the same weights as an undisturbed training.

For example:

    torchlight train --data "my images" --model cells --architecture resnet9 --epochs 20
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from models.release import ROOT, Release, next_version
from scripts import cli
from scripts.command import UsageError, say
from training import data, recipe
from training.data.dataset import Split
from training.data.left_out import capped
from training.loop import checkpoint
from training.loop.distributed import own_device, world
from training.loop.history import Observer
from training.loop.interruption import Interrupted
from training.loop.job import TrainingJob
from training.loop.progress import Progress, TensorBoard
from training.recipe import Recipe
from training.train import check, stopped, train, unfinished

RECIPES = ", ".join(recipe.names())


@dataclass(frozen=True, slots=True)
class TrainFlags:
    """Flags of the command. Without a value, the recipe decides.

    Attributes:
        data: digits, shapes, shapes-spurious, cifar10, a folder with a sub-folder of images for each class (they may be
            in train/, test/ and val/), a .csv of paths and labels, or CIFAR-10's official files (default: the recipe's,
            or digits)
        model: name of the model (default: name of the data set or folder)
        version: version to write, such as 2.0 (default: the newest plus one)
        set: set any key of the recipe, such as optimizer.learning_rate=0.1; repeatable
        architecture: cnn, resnet9, resnet18, resnet50 or vit_tiny
        weights: initial weights: a .safetensors file, a state dict (.pth), or a release folder
        image_size: side of the network's input, in pixels
        epochs: passes over the training split
        batch_size: images per step, over all processes
        learning_rate: peak of the learning rate schedule
        seed: random seed of weights, image order and augmentation
        resume: continue the stopped training of this version
        restart: delete the checkpoint and start again
        device: cpu, cuda:0, ... (default: the GPU if there is one)
        ood_data: out-of-distribution images of your own, to measure how many are detected
        tensorboard: write event files for TensorBoard into this folder
    """

    data: str | None = None
    model: str | None = None
    version: str | None = None
    recipe: Annotated[
        str | None,
        Parameter(help=f"{RECIPES}, or a YAML file (default: the one named after the architecture, or default)"),
    ] = None
    set: Annotated[tuple[str, ...], Parameter(metavar="KEY=VALUE")] = ()
    architecture: Annotated[str | None, Parameter(metavar="NAME")] = None
    weights: str | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    resume: bool = False
    restart: bool = False
    device: str | None = None
    ood_data: Annotated[str | None, Parameter(metavar="DATA")] = None
    tensorboard: Annotated[Path | None, Parameter(metavar="FOLDER")] = None

    def changes(self) -> dict[str, Any]:
        """Return the recipe values that the flags set, by key."""
        values = {
            "architecture.name": self.architecture,
            "weights": self.weights,
            "input.size": self.image_size,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "optimizer.learning_rate": self.learning_rate,
            "seed": self.seed,
            "data": self.data,
        }
        changes = {key: value for key, value in values.items() if value is not None}
        return changes | dict(recipe.assignment(text) for text in self.set)

    def recipe_name(self) -> str:
        """Return the recipe: the given one, or that of the architecture if there is one."""
        if self.recipe is not None:
            return self.recipe
        return self.architecture if self.architecture in recipe.names() else recipe.DEFAULT


DEFAULTS = TrainFlags()


def main(*, flags: Annotated[TrainFlags, Parameter(name="*")] = DEFAULTS) -> None:
    """Train the model that the flags describe."""
    if flags.resume and flags.restart:
        raise UsageError("--resume and --restart exclude each other: give one of them")
    if flags.resume:
        model = flags.model or _named_after(flags.data or data.digits.NAME)
        version = _stopped(model, flags.version)
        chosen = recipe.load(str(unfinished(model, version) / recipe.FILE_NAME), flags.changes())
    else:
        chosen = recipe.load(flags.recipe_name(), flags.changes())
        if chosen.data is None:
            chosen = chosen.model_copy(update={"data": data.digits.NAME})
        model = flags.model or _named_after(str(chosen.data))
        version = flags.version or next_version(model)
    run(flags, model, version, chosen)


def run(flags: TrainFlags, model: str, version: str, chosen: Recipe) -> Release | None:
    """Train and print the result."""
    device = own_device(flags.device)
    check(model, version, resume=flags.resume, restart=flags.restart)  # before the data is read
    with world(device) as processes:
        log = say if processes.first else _silent
        dataset, data_warnings = data.load(str(chosen.data))
        for sentence in capped(data_warnings, ", which the report will have"):
            log(sentence)
        action = "resuming" if flags.resume else "training"
        splits = f"{len(dataset.train)} / {len(dataset.calibration)} / {len(dataset.test)}"
        log(
            f"{action} {model} {version}: {chosen.architecture.name} on {dataset.name}, {splits} images (train / "
            f"calibration / test), {chosen.epochs} epochs"
        )
        observers: list[Observer] = [Progress()]
        if flags.tensorboard is not None:
            observers.append(TensorBoard(flags.tensorboard / model / version))
        job = TrainingJob(
            dataset=dataset,
            model=model,
            version=version,
            recipe=chosen,
            resume=flags.resume,
            restart=flags.restart,
            device=device,
            world=processes,
            observers=observers,
            data_warnings=data_warnings,
            ood_data=_ood_data(flags.ood_data, log),
            log=log,
        )
        try:
            release = train(job)
        except (Interrupted, KeyboardInterrupt) as stop:
            command_line = f"torchlight train --model {model} --version {version} --resume"
            if processes.size > 1:
                command_line = f"the same command and --resume --model {model} --version {version}"
            saved = (unfinished(model, version) / checkpoint.FILE_NAME).exists()
            log(f"{str(stop) or 'stopped'}." + f" Resume with: {command_line}" * saved, file=sys.stderr)
            sys.exit(130)
    if release is not None:
        metrics = release.card.metrics
        print(
            f"{release.folder}: {metrics.accuracy:.2%} accuracy on {metrics.test_images} test images, "
            f"{metrics.train_cpu_seconds} CPU seconds of training"
            + (f"; report: {page}" if (page := release.folder / "report" / "report.html").exists() else "")
        )
    return release


def _named_after(argument: str) -> str:
    """Return the default name of a model that is trained on these data."""
    return Path(argument).resolve().name.partition(".")[0]


def _stopped(model: str, version: str | None) -> str:
    """Return the version of a stopped training: the requested one, or the newest."""
    versions = stopped(model)
    if version is None and versions:
        return versions[-1]
    if version not in versions:
        existing = f"; there is one of {', '.join(versions)}" if versions else ""
        which = model if version is None else f"{model} {version}"
        raise ValueError(f"no training of {which} was stopped under {ROOT}/{existing}: train without --resume")
    return version


def _ood_data(argument: str | None, log: Callable[[str], None]) -> tuple[str, Split] | None:
    if argument is None:
        return None
    other, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        log(sentence)
    return other.name, other.test


def _silent(*_: object, **__: object) -> None:
    """Print nothing: all processes but the first one."""


if __name__ == "__main__":
    cli.run("train")
