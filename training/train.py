"""Train a network on a data set and write its release."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import replace
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
from training import release
from training.cost import measured
from training.data.dataset import DataError
from training.loop import checkpoint, data_record, loader
from training.loop.job import TrainingJob
from training.loop.loop import Training
from training.loop.pretrained import initialize
from training.recipe import FILE_NAME as RECIPE_FILE
from training.recipe import Recipe
from training.release import Trained


def unfinished(model: str, version: str, root: Path = ROOT) -> Path:
    """Return the folder with the checkpoint and the recipe of an unfinished training."""
    return root / checked_name(model) / f".{checked_version(version)}.training"


def stopped(model: str, root: Path = ROOT) -> list[str]:
    """Return the versions of `model` whose training was stopped, oldest first."""
    folders = [path.parent.name for path in (root / model).glob(f".*.training/{checkpoint.FILE_NAME}")]
    names = [name[1:].removesuffix(".training") for name in folders]
    return in_order(name for name in names if re.fullmatch(VERSION_PATTERN, name))


def check(model: str, version: str, root: Path = ROOT, *, resume: bool = False, restart: bool = False) -> Path:
    """Return the folder of a new release, after checking that it may be written.

    Raises:
        ReleaseError: the name or version is not allowed, the release exists, or a training of it was stopped.
    """
    folder = root / checked_name(model) / checked_version(version)
    check_spelling(model, version, [*versions(model, root), *stopped(model, root)], f"in {root}/")
    if folder.exists():
        raise ReleaseError(f"{folder} exists, and a release is never overwritten: choose another --version")
    if not (resume or restart) and (unfinished(model, version, root) / checkpoint.FILE_NAME).exists():
        raise ReleaseError(
            f"a training of {model} {version} was stopped: resume it (--resume), restart it (--restart), or choose "
            "another --version"
        )
    return folder


def train(job: TrainingJob) -> Release | None:
    """Train a network and write its release. Of several processes only the first one writes and returns a release.

    Raises:
        ReleaseError: see `check`; or the release cannot be written.
        ValueError: the recipe does not fit the data, the initial weights or the checkpoint.
        Interrupted, FloatingPointError: the training ended early; see training/loop/loop.py.
    """
    if not job.world.first:
        job = replace(job, observers=())
    sixteen_bits = job.dataset.sixteen_bits
    if sixteen_bits and (warning := sixteen_bits.warning(job.recipe.input.window)):
        job.log(f"warning: {warning}")
        job = replace(job, data_warnings=(*job.data_warnings, warning))
    folder = check(job.model, job.version, job.root, resume=job.resume, restart=job.restart)
    work = unfinished(job.model, job.version, job.root)
    try:
        with measured() as spent:
            training, arguments = prepare(job, work)
            if job.world.first and not job.resume:
                _save_job(work, job)
            history = training.run()
    finally:
        if job.world.first and not (work / checkpoint.FILE_NAME).exists():
            _remove(work)
    if not job.world.first:
        return None
    if job.resume:  # the checkpoint holds the time spent before, but not the energy
        spent.seconds, spent.cpu_seconds = spent.seconds + training.before[0], spent.cpu_seconds + training.before[1]
        spent.joules = None
    trained = Trained(job, arguments, training, history, spent)
    try:
        written = release.write(folder, trained)
    except (OSError, DataError) as error:
        reason = printable(str(error))
        if isinstance(error, OSError):
            path = f"{printable(str(error.filename))}: " if error.filename else ""
            reason = f"{path}{error.strerror or error}"
        raise ReleaseError(
            f"the release could not be written ({reason}), but the training is kept: put that right and resume it "
            "(--resume)"
        ) from None
    shutil.rmtree(work, ignore_errors=True)
    release.write_report(written, trained)
    return written.release


def prepare(job: TrainingJob, folder: Path | None) -> tuple[Training, dict[str, object]]:
    """Return a training that is ready to run or resume, and the arguments that its network was built with.

    Args:
        folder: where checkpoints go; None: no checkpoints.
    """
    recipe, dataset = job.recipe, job.dataset
    shape = {"image_size": recipe.input.size, "classes": len(dataset.classes)}
    arguments = {**recipe.architecture.arguments, **shape}
    with torch.random.fork_rng([]):
        torch.manual_seed(recipe.seed)
        network = architectures.build(recipe.architecture.name, **arguments)
    _check_progressive(network, recipe)
    if recipe.weights is not None and not job.resume:
        for sentence in initialize(network, Path(recipe.weights)).sentences():
            job.log(sentence)
    raw = Input(**recipe.input.model_dump(), mean=(0, 0, 0), std=(1, 1, 1))
    train, calibration = (loader.load(split, raw, job.device) for split in (dataset.train, dataset.calibration))
    training = Training(job, network, loader.fitted(raw, train), train, calibration, folder)
    if job.resume:
        assert folder is not None, "a resumed training has a folder with its checkpoint"
        data_record.check(folder, dataset)
        training.resume()
    return training, arguments


def _check_progressive(network: Network, recipe: Recipe) -> None:
    """Check that the network accepts the smaller images of progressive training."""
    if recipe.progressive is not None:
        size = recipe.progressive.size
        try:
            with torch.no_grad():
                network.eval()(torch.zeros(1, 3, size, size))
        except RuntimeError:
            raise ValueError(
                f"progressive.size is {size}, but {recipe.architecture.name} accepts only images of "
                f"{recipe.input.size} pixels: turn progressive training off (--set progressive=null)"
            ) from None


def _save_job(work: Path, job: TrainingJob) -> None:
    """Write the recipe and a record of the data beside the checkpoints, so that --resume needs no other flag."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / RECIPE_FILE).write_text(job.recipe.to_yaml(), encoding="utf-8")
    data_record.write(work, job.dataset)


def _remove(work: Path) -> None:
    """Remove the folder of a training without a checkpoint, and the model's folder if it is empty then."""
    shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):
        work.parent.rmdir()
