"""Train a model and write a release: releases/<model>/<version>/.

A recipe says how; flags change single values of it. Ctrl-C stops at the next batch and keeps where the training stands;
--resume goes on from there, and from the last epoch of a training that was killed, to the same weights.
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
    run(
        model,
        version,
        chosen,
        resume=arguments.resume,
        restart=arguments.restart,
        device=arguments.device,
        other=arguments.ood_data,
        tensorboard=arguments.tensorboard,
    )


def run(
    model: str,
    version: str,
    chosen: Recipe,
    *,
    resume: bool = False,
    restart: bool = False,
    device: str | None = None,
    other: str | None = None,
    tensorboard: Path | None = None,
) -> Release | None:
    """Train and say what came of it."""
    place = own_device(device)
    check(model, version, resume=resume, restart=restart)  # before much is read
    with world(place) as processes:
        say = partial(print, flush=True) if processes.first else _nothing
        dataset, data_warnings = data.load(str(chosen.data))
        for sentence in capped(data_warnings, ", which the report will have"):
            say(sentence)
        what = "going on with" if resume else "training"
        splits = f"{len(dataset.train)} / {len(dataset.calibration)} / {len(dataset.test)}"
        say(
            f"{what} {model} {version}: {chosen.architecture.name} on {dataset.name}, {splits} images (train / "
            f"calibration / test), {chosen.epochs} epochs"
        )
        observers: list[Observer] = [Progress()]
        if tensorboard is not None:
            observers.append(TensorBoard(tensorboard / model / version))
        try:
            release = train(
                dataset,
                model,
                version,
                chosen,
                resume=resume,
                restart=restart,
                device=place,
                world=processes,
                observers=observers,
                data_warnings=data_warnings,
                ood_data=_unlike(other, dataset, say),
                say=say,
            )
        except (Interrupted, KeyboardInterrupt) as stopped:
            how = f"make train MODEL={model} VERSION={version} RESUME=1"
            if processes.size > 1:
                how = f"the same command and --resume --model {model} --version {version}"
            kept = (unfinished(model, version) / checkpoint.FILE_NAME).exists()
            say(f"{str(stopped) or 'stopped'}." + f" Go on with: {how}" * kept, file=sys.stderr)
            sys.exit(130)
    if release is not None:
        metrics = release.card.metrics
        print(
            f"{release.folder}: {metrics.accuracy:.2%} right on {metrics.test_images} test images, "
            f"{metrics.train_cpu_seconds} CPU seconds of training"
            + (f"; look at {page}" if (page := release.folder / "report" / "report.html").exists() else "")
        )
    return release


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        help="digits, shapes, shapes-spurious, cifar10, a folder with a sub-folder of images for each class (they may "
        "stand below train/, test/ and val/), a .csv of paths and labels, or CIFAR-10's official files (default: the "
        "recipe's, else digits)",
    )
    parser.add_argument("--model", help="name of the model (default: that of the data set, or of the folder)")
    parser.add_argument("--version", help="version to write, such as 2.0 (default: the one after the newest)")
    parser.add_argument(
        "--recipe",
        help=f"{', '.join(recipe.names())}, or a YAML file (default: the one called as the architecture, or default)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any value of the recipe, such "
                        "as optimizer.learning_rate=0.1; may be given several times")  # fmt: skip
    for flag, key, kind, metavar, what in FLAGS:
        parser.add_argument(flag, dest=key, type=kind, metavar=metavar, help=what)
    stopped = parser.add_mutually_exclusive_group()
    stopped.add_argument(
        "--resume", action="store_true", help="go on with the training of this version that was stopped"
    )
    stopped.add_argument("--restart", action="store_true", help="throw away how far it had come, and begin anew")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: a GPU where there is one)")
    parser.add_argument(
        "--ood-data", metavar="DATA", help="out-of-distribution images, to measure OOD detection (default: digits; for "
        "digits, pieces of photos)")  # fmt: skip
    parser.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="write event files for TensorBoard below it")
    return parser


# Flag, key of the recipe, type, what stands for a value in the help, what it is.
FLAGS: list[tuple[str, str, Any, str, str]] = [
    ("--architecture", "architecture.name", str, "NAME", "cnn, resnet9, resnet18, resnet50 or vit_tiny"),
    (
        "--weights",
        "weights",
        str,
        "WEIGHTS",
        "weights to start from: a .safetensors, a state dict (.pth), or a release folder",
    ),
    ("--image-size", "input.size", int, "N", "pixels of a side, as the network sees it"),
    ("--epochs", "epochs", int, "N", "passes over the training split"),
    ("--batch-size", "batch_size", int, "N", "images in one step, of all processes together"),
    ("--learning-rate", "optimizer.learning_rate", float, "RATE", "the highest of the schedule"),
    ("--seed", "seed", int, "N", "of the weights, the order of images and their augmentation"),
]


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    """What flags change in the recipe."""
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
    """What a model is called that is trained on these data."""
    return Path(argument).resolve().name.partition(".")[0]


def _stopped(model: str, version: str | None) -> str:
    """The version whose training was stopped: the one that is asked for, or the newest."""
    found = stopped(model)
    if version is None and found:
        return found[-1]
    if version not in found:
        others = f"; there is one of {', '.join(found)}" if found else ""
        which = model if version is None else f"{model} {version}"
        raise ValueError(f"no training of {which} was stopped under {ROOT}/{others}: train without --resume")
    return version


def _unlike(argument: str | None, dataset: data.Dataset, say: Callable[[str], None]) -> tuple[str, Split]:
    if argument is None:
        return ood_data(dataset)
    other, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        say(sentence)
    return other.name, other.test


def _nothing(*_: object, **__: object) -> None:
    """What the other processes say."""


if __name__ == "__main__":
    main()
