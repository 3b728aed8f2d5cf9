"""Workloads: a release, which is made once, the images of the requests, and Torchlight's settings for it.

There are two: the `cnn` of the digits at 24 pixels, and a ResNet-18 at 224 pixels that sorts photos into ten classes by
brightness. The ResNet-18 is trained on the photos for a few minutes. It need not be accurate, because the cost of a
network does not depend on its weights. But its responses must differ from photo to photo, to detect wrong ones.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageStat

from benchmarks.compare.run_config import SUFFIXES, RunConfig, read_images
from benchmarks.compare.systems import Model
from benchmarks.compare.systems.peer import LARGE_BATCH
from handlers.classifier import Classifier
from models.card import Card
from models.release import WEIGHTS
from serving.runtime.cpu import usable
from training.compile import compile_ungated

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = "1.0"
CLASSES = 10
EPOCHS = 4
# Compiled programs of the photos' network, in the order in which a worker tries them.
PROGRAMS = ("cpu-int8", "cpu-fp32")
# The same as the peers in the engine mode.
WORKER_PER_CORE = f"minWorkers: {usable()}\nmaxWorkers: {usable()}\n"
# Number of images that are read, and of those that requests use.
MAX_IMAGES, REQUEST_IMAGES = 100, 16


@dataclass(frozen=True, slots=True)
class Workload:
    """A model in a folder of releases.

    Attributes:
        settings: content of model-config.yaml for `scripts.archive --config`; empty: the defaults.
        images: images of the requests.
        expected: top classes of the network itself, in the order of the images.
    """

    name: str
    home: Path
    settings: str
    images: tuple[bytes, ...]
    expected: tuple[int, ...]

    @property
    def release(self) -> Path:
        """Folder of the release."""
        return self.home / "releases" / self.name / VERSION

    def model(self) -> Model:
        """Return the model for the peers. Its program is the one that Torchlight's workers try first."""
        card = Card.load(self.release)
        admitted = [engine.path for engine in card.engines if engine.rejection is None and engine.device == "cpu"]
        return Model(
            name=card.name,
            architecture=card.architecture.name,
            arguments=card.architecture.arguments,
            weights=self.release / WEIGHTS,
            engine=self.release / admitted[0] if admitted else None,
            size=card.input.size,
            resize=card.input.resize,
            crop=card.input.crop,
            mean=card.input.mean,
            std=card.input.std,
            classes=card.classes,
        )


def digits(config: RunConfig) -> Workload:
    """Return the digits: model and programs of `make train optimize`, a worker per core, and the images of samples/."""
    images = read_images(REPOSITORY / "samples", REQUEST_IMAGES)
    workload = Workload("digits", config.folder, WORKER_PER_CORE, tuple(images), ())
    if not workload.release.is_dir():
        _train(workload.home, workload.name)
    if not Card.load(workload.release).engines:
        run_module(workload.home, "scripts.optimize", "--model", workload.name, "--version", VERSION)
    return _archived(workload)


def photos(config: RunConfig) -> Workload:
    """Return the photos: a ResNet-18 at 224 pixels, a worker per core.

    Its programs do not pass the gate, because there are too few photos for it. The requests use the photos with the
    largest margin, where int8 and the peers' resize give the same class.
    """
    images = read_images(config.photos, MAX_IMAGES)
    release = config.folder / "releases" / "photos" / VERSION
    if not release.is_dir():
        assert config.photos is not None
        sort_by_brightness(config.photos, config.folder / "sorted")
        recipe = ("--recipe", "resnet18", "--epochs", str(EPOCHS), "--set", "batch_size=8")
        _train(config.folder, "photos", "--data", str(config.folder / "sorted"), *recipe)
    if not Card.load(release).engines:
        logger.info("compiling %s of photos", " and ".join(PROGRAMS))
        compile_ungated(release, images, PROGRAMS)
    top, runner_up = Classifier.load(release).probabilities(images).topk(2, dim=1).values.T
    selected = (top - runner_up).argsort(descending=True)[:REQUEST_IMAGES].tolist()
    settings = WORKER_PER_CORE + f"batchSize: {LARGE_BATCH}\n"
    selected_images = tuple(images[index] for index in sorted(selected))
    return _archived(Workload("photos", config.folder, settings, selected_images, ()))


def _train(home: Path, name: str, *flags: str) -> None:
    """Train a release. A training that was interrupted starts again."""
    run_module(home, "scripts.train", "--model", name, "--version", VERSION, "--restart", *flags)


def _archived(workload: Workload) -> Workload:
    """Make the .mar, because the served code may have changed, and return the workload with the expected classes."""
    config_file = workload.home / f"{workload.name}.yaml"
    config_file.write_text(workload.settings, encoding="utf-8")
    flags = ("--model", workload.name, "--version", VERSION, "--config", str(config_file))
    run_module(workload.home, "scripts.archive", *flags)
    classes = Classifier.load(workload.release).probabilities(list(workload.images)).argmax(dim=1).tolist()
    return replace(workload, expected=tuple(classes))


def sort_by_brightness(photos: Path, folder: Path) -> None:
    """Link the photos into ten sub-folders of equal size by brightness, so that there is something to learn."""
    shutil.rmtree(folder, ignore_errors=True)
    paths = sorted(path for path in photos.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < 5 * CLASSES:
        raise ValueError(f"--photos {photos}: {len(paths)} photos are too few to train on; give at least {5 * CLASSES}")
    ordered = sorted(paths, key=_brightness)
    for index, path in enumerate(ordered):
        class_folder = folder / f"tenth-{index * CLASSES // len(ordered)}"
        class_folder.mkdir(parents=True, exist_ok=True)
        (class_folder / path.name).symlink_to(path.resolve())


def _brightness(path: Path) -> float:
    with Image.open(path) as image:
        return float(ImageStat.Stat(image.convert("L").resize((32, 32))).mean[0])


def run_module(folder: Path, module: str, *flags: str) -> None:
    """Run a command of this repository in `folder`.

    Raises:
        ValueError: the command failed. The message has its last line of output.
    """
    logger.info("python -m %s %s", module, " ".join(flags))
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=folder, env=environment, capture_output=True, text=True
    )
    if process.returncode != 0:
        last_line = ((process.stderr or process.stdout).strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"`python -m {module} {' '.join(flags)}` failed: {last_line}")
