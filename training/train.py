"""The way from a data set to a release: sources, network, loop, and what is written in the end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from models import architectures
from models.architectures import Network
from models.card import VERSION_PATTERN, Input
from models.printable import printable
from models.release import (
    ROOT,
    Release,
    ReleaseError,
    check_spelling,
    checked_name,
    checked_version,
    in_order,
    versions,
)
from training import data_record, release
from training.cost import measured
from training.data.dataset import DataError, Dataset, Split
from training.loop import checkpoint, loader
from training.loop.distributed import World
from training.loop.history import Observer
from training.loop.loop import Training
from training.loop.pretrained import initialize
from training.recipe import FILE_NAME as RECIPE_FILE
from training.recipe import Recipe
from training.release import Trained


def unfinished(model: str, version: str, root: Path = ROOT) -> Path:
    """Where a training that has not become a release yet keeps its checkpoint and its recipe."""
    return root / checked_name(model) / f".{checked_version(version)}.training"


def stopped(model: str, root: Path = ROOT) -> list[str]:
    """Return the versions of `model` whose training was stopped, oldest first."""
    folders = [path.parent.name for path in (root / model).glob(f".*.training/{checkpoint.FILE_NAME}")]
    names = [name[1:].removesuffix(".training") for name in folders]
    return in_order(name for name in names if re.fullmatch(VERSION_PATTERN, name))


def check(model: str, version: str, root: Path = ROOT, *, resume: bool = False, restart: bool = False) -> Path:
    """Where the release will be, if it may be written.

    Raises:
        ReleaseError: the name or version is not allowed, the release exists, or a training of it was stopped.
    """
    folder = root / checked_name(model) / checked_version(version)
    check_spelling(model, version, [*versions(model, root), *stopped(model, root)], f"in {root}/")
    if folder.exists():
        raise ReleaseError(f"{folder} exists, and a release is never written over: choose another VERSION")
    if not (resume or restart) and (unfinished(model, version, root) / checkpoint.FILE_NAME).exists():
        raise ReleaseError(
            f"a training of {model} {version} was stopped: go on with it (RESUME=1, --resume), begin anew (--restart), "
            "or choose another VERSION"
        )
    return folder


def train(
    dataset: Dataset,
    model: str,
    version: str,
    recipe: Recipe,
    *,
    root: Path = ROOT,
    resume: bool = False,
    restart: bool = False,
    device: torch.device | None = None,
    world: World | None = None,
    observers: Sequence[Observer] = (),
    data_warnings: Sequence[str] = (),
    ood_data: tuple[str, Split] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Release | None:
    """Train a network, and write its release. Of several processes the first one writes, and only it gets the release.

    Args:
        resume: go on from the checkpoint of a training that was stopped.
        restart: throw that checkpoint away and begin anew.
        data_warnings: what was found about the data, for the report.
        ood_data: name and out-of-distribution images; without them the report does not measure their detection.
        say: is told what the user should read.

    Raises:
        ReleaseError: see `check`; or the release cannot be written.
        ValueError: the recipe does not fit the data, the initial weights, or the checkpoint; see what they raise.
        Interrupted, FloatingPointError: the training ended before its time; see training/loop/loop.py.
    """
    device, world = device or torch.device("cpu"), world or World()
    if dataset.sixteen_bits and (lost := dataset.sixteen_bits.warning(recipe.input.range_16bit)):
        say(f"warning: {lost}")
        data_warnings = (*data_warnings, lost)
    folder, work = check(model, version, root, resume=resume, restart=restart), unfinished(model, version, root)
    try:
        with measured() as spent:
            training, arguments = prepare(dataset, recipe, device, world, work, observers, say, resume=resume)
            if world.first and not resume:
                _note(work, recipe, dataset)
            history = training.run()
    finally:
        if world.first and not (work / checkpoint.FILE_NAME).exists():
            _remove(work)
    if not world.first:
        return None
    if resume:  # what was spent before is known, but for its energy
        spent.seconds, spent.cpu_seconds = spent.seconds + training.before[0], spent.cpu_seconds + training.before[1]
        spent.joules = None
    trained = Trained(dataset, recipe, arguments, training, history, spent, tuple(data_warnings), ood_data)
    try:
        written = release.write(folder, trained, device, say)
    except (OSError, DataError) as error:
        why = printable(str(error))
        if isinstance(error, OSError):
            where = f"{printable(str(error.filename))}: " if error.filename else ""
            why = f"{where}{error.strerror or error}"
        raise ReleaseError(
            f"the release could not be written ({why}), but the training is kept: put that right and go on with it "
            "(RESUME=1, --resume)"
        ) from None
    shutil.rmtree(work, ignore_errors=True)
    release.write_report(written, trained, say)
    return written.release


def prepare(
    dataset: Dataset,
    recipe: Recipe,
    device: torch.device,
    world: World,
    folder: Path | None,
    observers: Sequence[Observer] = (),
    say: Callable[[str], None] = lambda _: None,
    *,
    resume: bool = False,
) -> tuple[Training, dict[str, object]]:
    """A training that is ready to run, or to go on, and the arguments that its network was built with."""
    own = {"image_size": recipe.input.size, "classes": len(dataset.classes)}
    arguments = {**recipe.architecture.arguments, **own}
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        network = architectures.build(recipe.architecture.name, **arguments)
    _takes_smaller(network, recipe)
    if recipe.weights is not None and not resume:
        for sentence in initialize(network, Path(recipe.weights)).sentences():
            say(sentence)
    raw = Input(**recipe.input.model_dump(), mean=(0, 0, 0), std=(1, 1, 1))
    train, calibration = (loader.load(split, raw, device) for split in (dataset.train, dataset.calibration))
    training = Training(
        network,
        loader.fitted(raw, train),
        len(dataset.classes),
        train,
        calibration,
        recipe,
        device=device,
        world=world,
        folder=folder,
        identity=data_record.identity(dataset),
        observers=observers if world.first else (),
    )
    if resume:
        assert folder is not None, "a training that goes on has a folder with its checkpoint"
        data_record.check(folder, dataset)
        training.resume()
    return training, arguments


def _takes_smaller(network: Network, recipe: Recipe) -> None:
    """Whether the network takes the smaller pictures that the recipe begins with."""
    if recipe.progressive is not None:
        size = recipe.progressive.size
        try:
            with torch.no_grad():
                network.eval()(torch.zeros(1, 3, size, size))
        except RuntimeError:
            raise ValueError(
                f"progressive: {recipe.architecture.name} takes pictures of {recipe.input.size} pixels alone, and none "
                f"of {size}: leave it out (--set progressive=null)"
            ) from None


def _note(work: Path, used: Recipe, dataset: Dataset) -> None:
    """Keep the recipe beside the checkpoints to come, so that going on needs no flags; and what the data are."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / RECIPE_FILE).write_text(used.to_yaml(), encoding="utf-8")
    data_record.write(work, dataset)


def _remove(work: Path) -> None:
    """Remove what a training left that came to nothing, and the model's folder if it is empty now."""
    shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):
        work.parent.rmdir()
