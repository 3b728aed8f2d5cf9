"""Train a model and write a release: releases/<model>/<version>/.

A recipe sets all options; flags change single values of it. Ctrl-C stops at the next batch and writes a checkpoint.
--resume continues from the last checkpoint, also after a kill, and gives the same weights as an undisturbed training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from models.release import ROOT, Release, next_version
from scripts.command import command
from training import data, recipe
from training.data.dataset import Split
from training.data.left_out import capped
from training.data.ood_data import ood_data
from training.loop import checkpoint
from training.loop.distributed import own_device, world
from training.loop.history import Observer
from training.loop.interruption import Interrupted
from training.loop.job import TrainingJob
from training.loop.progress import Progress, TensorBoard
from training.recipe import Recipe
from training.train import check, stopped, train, unfinished


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and train."""
    arguments = _parser().parse_args(argv)
    changes = _changes(arguments)
    if arguments.resume:
        model = arguments.model or _named_after(arguments.data or data.digits.NAME)
        version = _stopped(model, arguments.version)
        chosen = recipe.load(str(unfinished(model, version) / recipe.FILE_NAME), changes)
    else:
        chosen = recipe.load(_recipe_name(arguments), changes)
        if chosen.data is None:
            chosen = chosen.model_copy(update={"data": data.digits.NAME})
        model = arguments.model or _named_after(str(chosen.data))
        version = arguments.version or next_version(model)
    run(arguments, model, version, chosen)


def run(arguments: argparse.Namespace, model: str, version: str, chosen: Recipe) -> Release | None:
    """Train and print the result."""
    device = own_device(arguments.device)
    check(model, version, resume=arguments.resume, restart=arguments.restart)  # before the data is read
    with world(device) as processes:
        log = partial(print, flush=True) if processes.first else _silent
        dataset, data_warnings = data.load(str(chosen.data))
        for sentence in capped(data_warnings, ", which the report will have"):
            log(sentence)
        action = "resuming" if arguments.resume else "training"
        splits = f"{len(dataset.train)} / {len(dataset.calibration)} / {len(dataset.test)}"
        log(
            f"{action} {model} {version}: {chosen.architecture.name} on {dataset.name}, {splits} images (train / "
            f"calibration / test), {chosen.epochs} epochs"
        )
        observers: list[Observer] = [Progress()]
        if arguments.tensorboard is not None:
            observers.append(TensorBoard(arguments.tensorboard / model / version))
        job = TrainingJob(
            dataset=dataset,
            model=model,
            version=version,
            recipe=chosen,
            resume=arguments.resume,
            restart=arguments.restart,
            device=device,
            world=processes,
            observers=observers,
            data_warnings=data_warnings,
            ood_data=_ood_data(arguments.ood_data, dataset, log),
            log=log,
        )
        try:
            release = train(job)
        except (Interrupted, KeyboardInterrupt) as stop:
            command_line = f"make train MODEL={model} VERSION={version} RESUME=1"
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        help="digits, shapes, shapes-spurious, cifar10, a folder with a sub-folder of images for each class (they may "
        "be in train/, test/ and val/), a .csv of paths and labels, or CIFAR-10's official files (default: the "
        "recipe's, or digits)",
    )
    parser.add_argument("--model", help="name of the model (default: name of the data set or folder)")
    parser.add_argument("--version", help="version to write, such as 2.0 (default: the newest plus one)")
    parser.add_argument(
        "--recipe",
        help=f"{', '.join(recipe.names())}, or a YAML file (default: the one named after the architecture, or default)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set any key of the recipe, "
                        "such as optimizer.learning_rate=0.1; repeatable")  # fmt: skip
    for flag, key, kind, metavar, what in FLAGS:
        parser.add_argument(flag, dest=key, type=kind, metavar=metavar, help=what)
    restore = parser.add_mutually_exclusive_group()
    restore.add_argument("--resume", action="store_true", help="continue the stopped training of this version")
    restore.add_argument("--restart", action="store_true", help="delete the checkpoint and start again")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: the GPU if there is one)")
    parser.add_argument(
        "--ood-data", metavar="DATA", help="out-of-distribution images, to measure OOD detection (default: digits; for "
        "digits, patches of photos)")  # fmt: skip
    parser.add_argument(
        "--tensorboard", type=Path, metavar="FOLDER", help="write event files for TensorBoard into this folder"
    )
    return parser


# Flag, key of the recipe, type, metavar, help.
FLAGS: list[tuple[str, str, Any, str, str]] = [
    ("--architecture", "architecture.name", str, "NAME", "cnn, resnet9, resnet18, resnet50 or vit_tiny"),
    (
        "--weights",
        "weights",
        str,
        "WEIGHTS",
        "initial weights: a .safetensors file, a state dict (.pth), or a release folder",
    ),
    ("--image-size", "input.size", int, "N", "side of the network's input, in pixels"),
    ("--epochs", "epochs", int, "N", "passes over the training split"),
    ("--batch-size", "batch_size", int, "N", "images per step, over all processes"),
    ("--learning-rate", "optimizer.learning_rate", float, "RATE", "peak of the learning rate schedule"),
    ("--seed", "seed", int, "N", "random seed of weights, image order and augmentation"),
]


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe values that the flags set, by key."""
    changes = {key: value for _, key, *_ in FLAGS if (value := getattr(arguments, key)) is not None}
    if arguments.data is not None:
        changes["data"] = arguments.data
    return changes | dict(recipe.assignment(text) for text in arguments.set)


def _recipe_name(arguments: argparse.Namespace) -> str:
    if arguments.recipe is not None:
        return str(arguments.recipe)
    architecture = getattr(arguments, "architecture.name")
    return architecture if architecture in recipe.names() else recipe.DEFAULT


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


def _ood_data(argument: str | None, dataset: data.Dataset, log: Callable[[str], None]) -> tuple[str, Split]:
    if argument is None:
        return ood_data(dataset)
    other, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        log(sentence)
    return other.name, other.test


def _silent(*_: object, **__: object) -> None:
    """Print nothing: all processes but the first one."""


if __name__ == "__main__":
    main()
