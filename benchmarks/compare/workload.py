"""What is served: a release, made once, the images that are asked about, and how the bundle is told to run it.

Two of them: the digits' `cnn` at 24 pixels, and a ResNet-18 at 224 that sorts photos into ten classes by their
brightness. That one is trained for a few minutes on the photos themselves: it need not be good, but its answers must
differ from photo to photo, so that a wrong one is found; what a network costs does not depend on its weights.
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

from benchmarks.compare.run_config import SUFFIXES, Setting
from benchmarks.compare.systems import Model
from benchmarks.compare.systems.peer import LARGE_BATCH
from handlers.pipeline import Classifier
from models.card import Card
from models.release import WEIGHTS
from serving.runtime.cpu import usable
from training.compile import compile_unjudged

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = "1.0"
CLASSES = 10
EPOCHS = 4
# Programs of the photos' network, in the order in which they are tried.
PROGRAMS = ("cpu-int8", "cpu-fp32")
# As the peers have it with the same engine.
A_WORKER_A_CORE = f"minWorkers: {usable()}\nmaxWorkers: {usable()}\n"
# Images that are read, and those that are asked about.
MOST, ASKED = 100, 16


@dataclass(frozen=True, slots=True)
class Workload:
    """A model in a folder of releases.

    Attributes:
        settings: of model-config.yaml, which `scripts.archive --config` takes; empty: the defaults.
        images: that are asked about, in turn.
        expected: the classes that the network itself says.
    """

    name: str
    home: Path
    settings: str
    images: tuple[bytes, ...]
    expected: tuple[int, ...]

    @property
    def release(self) -> Path:
        """Its folder."""
        return self.home / "releases" / self.name / VERSION

    def model(self) -> Model:
        """As the peers take it; its program is the one that our own workers try first."""
        card = Card.load(self.release)
        admitted = [engine.path for engine in card.engines if engine.refused is None and engine.device == "cpu"]
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


def digits(setting: Setting) -> Workload:
    """The bundle's own model and programs, as `make train optimize` make them, a worker a core, and samples/."""
    images = setting.images(REPOSITORY / "samples", ASKED)
    made = Workload("digits", setting.folder, A_WORKER_A_CORE, tuple(images), ())
    if not made.release.is_dir():
        _train(made.home, made.name)
    if not Card.load(made.release).engines:
        call(made.home, "scripts.optimize", "--model", made.name, "--version", VERSION)
    return _archived(made)


def photos(setting: Setting) -> Workload:
    """ResNet-18 at 224, a worker a core; its programs are let in without a gate, which so few photos cannot pass.

    Asked about are those on which the network is surest: int8 and the peers' own resize answer them alike.
    """
    found = setting.images(setting.photos, MOST)
    release = setting.folder / "releases" / "photos" / VERSION
    if not release.is_dir():
        assert setting.photos is not None
        sort_by_brightness(setting.photos, setting.folder / "sorted")
        recipe = ("--recipe", "resnet18", "--epochs", str(EPOCHS), "--set", "batch_size=8")
        _train(setting.folder, "photos", "--data", str(setting.folder / "sorted"), *recipe)
    if not Card.load(release).engines:
        logger.info("compiling %s of photos", " and ".join(PROGRAMS))
        compile_unjudged(release, found, PROGRAMS)
    first, second = Classifier.load(release).probabilities(found).topk(2, dim=1).values.T
    surest = (first - second).argsort(descending=True)[:ASKED].tolist()
    settings = A_WORKER_A_CORE + f"batchSize: {LARGE_BATCH}\n"
    return _archived(Workload("photos", setting.folder, settings, tuple(found[place] for place in sorted(surest)), ()))


def _train(home: Path, name: str, *flags: str) -> None:
    """A release; one whose training was stopped begins anew."""
    call(home, "scripts.train", "--model", name, "--version", VERSION, "--restart", *flags)


def _archived(made: Workload) -> Workload:
    """Make its .mar, in any case: the code that answers may have changed; and ask the network itself."""
    config = made.home / f"{made.name}.yaml"
    config.write_text(made.settings, encoding="utf-8")
    call(made.home, "scripts.archive", "--model", made.name, "--version", VERSION, "--config", str(config))
    classes = Classifier.load(made.release).probabilities(list(made.images)).argmax(dim=1).tolist()
    return replace(made, expected=tuple(classes))


def sort_by_brightness(photos: Path, folder: Path) -> None:
    """Link the photos into a sub-folder for each tenth of them, the darkest first: there is something to learn."""
    shutil.rmtree(folder, ignore_errors=True)
    paths = sorted(path for path in photos.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < 5 * CLASSES:
        raise ValueError(f"--photos {photos}: {len(paths)} photos are too few to train on: at least {5 * CLASSES}")
    ordered = sorted(paths, key=_brightness)
    for place, path in enumerate(ordered):
        label = folder / f"tenth-{place * CLASSES // len(ordered)}"
        label.mkdir(parents=True, exist_ok=True)
        (label / path.name).symlink_to(path.resolve())


def _brightness(path: Path) -> float:
    with Image.open(path) as image:
        return float(ImageStat.Stat(image.convert("L").resize((32, 32))).mean[0])


def call(folder: Path, module: str, *flags: str) -> None:
    """A command of the repository, in `folder`.

    Raises:
        ValueError: it failed; with its last line.
    """
    logger.info("python -m %s %s", module, " ".join(flags))
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["it said nothing"])[-1]
        raise ValueError(f"`python -m {module} {' '.join(flags)}` failed: {last}")
