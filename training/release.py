"""Where a release is written: data set and settings -> `releases/<model>/<version>/`, whole or not at all."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from handlers import golden, images
from handlers.classifier import Classifier
from handlers.engine import Engine
from models import architectures
from models.card import Architecture, Card, Data, Input, Metrics
from models.release import REPORT, ROOT, WEIGHTS, Release, ReleaseError, checked_name, checked_version, sha256
from training import report
from training.data import Dataset
from training.data.dataset import Split
from training.evaluate import evaluate
from training.loop import Labelled, Settings, fit

GOLDEN_IMAGES = 10


def train(
    dataset: Dataset,
    model: str,
    version: str,
    settings: Settings,
    *,
    architecture: str = "cnn",
    image_size: int = 24,
    root: Path = ROOT,
) -> Release:
    """Train a network on `dataset`, measure it on the test split, and write the release.

    The folder is made under another name and renamed at the end, so a run that is killed leaves no half release.

    Raises:
        ReleaseError: the name or version is not allowed, or the release exists.
        ValueError, FloatingPointError: settings that cannot work, or did not.
    """
    folder = root / checked_name(model) / checked_version(version)
    if folder.exists():
        raise ReleaseError(f"{folder} exists, and a release is never written over: choose another VERSION")
    torch.manual_seed(settings.seed)
    arguments = {"image_size": image_size, "classes": len(dataset.classes)}
    network = architectures.build(architecture, **arguments)

    cpu = time.process_time()
    raw = Input(size=image_size, mean=(0, 0, 0), std=(1, 1, 1))
    train_split, calibration_split = (_load(split, raw) for split in (dataset.train, dataset.calibration))
    spec = _fitted(raw, train_split)
    history = fit(network, spec, train_split, calibration_split, settings)
    cpu_seconds = time.process_time() - cpu

    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=folder.parent))
    try:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, draft / WEIGHTS)
        # The card wants the test figures, and these want a classifier, which wants a card: draw it up, then fill it in.
        card = Card(
            name=model,
            version=version,
            description=f"{architecture} trained on {dataset.name}",
            licence=dataset.licence,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            git_revision=_git_revision(),
            architecture=Architecture(name=architecture, arguments=arguments),
            classes=dataset.classes,
            input=spec,
            data=Data(
                name=dataset.name,
                source=dataset.source,
                sha256=dataset.sha256,
                train=len(dataset.train),
                calibration=len(dataset.calibration),
                test=len(dataset.test),
            ),
            metrics=Metrics(accuracy=0, loss=0, test_images=0, train_cpu_seconds=0),
            digests={WEIGHTS: sha256(draft / WEIGHTS)},
        )
        classifier = Classifier(card, Engine(network, torch.device("cpu")))
        test = evaluate(classifier, dataset, dataset.test)
        metrics = Metrics(
            accuracy=round(test.accuracy, 6),
            loss=round(test.loss, 6),
            test_images=len(dataset.test),
            train_cpu_seconds=round(cpu_seconds, 1),
        )
        card = card.model_copy(update={"metrics": metrics})
        card.save(draft)
        golden.write(draft, classifier, _golden_images(dataset))
        report.write(draft / REPORT, settings, history, test, dataset.classes)
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Release(folder, card)


def _load(split: Split, spec: Input) -> Labelled:
    pixels = torch.stack([images.pixels(images.decode(content, spec.size), spec) for content in split.images])
    return Labelled(pixels, torch.tensor(split.labels))


def _fitted(spec: Input, train: Labelled) -> Input:
    """The input with mean and standard deviation by channel of the training pixels, to four digits."""
    share = train.pixels.float() / 255
    mean, std = share.mean(dim=(0, 2, 3)), share.std(dim=(0, 2, 3)).clamp(min=1e-3)
    update = {"mean": tuple(round(v, 4) for v in mean.tolist()), "std": tuple(round(v, 4) for v in std.tolist())}
    return spec.model_copy(update=update)


def _golden_images(dataset: Dataset) -> dict[str, bytes]:
    """The first calibration image of each class, up to GOLDEN_IMAGES classes."""
    chosen: dict[str, bytes] = {}
    for index in range(min(len(dataset.classes), GOLDEN_IMAGES)):
        place = dataset.calibration.labels.index(index)
        content = dataset.calibration.images[place]
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg" if content.startswith(b"\xff\xd8") else "webp"
        chosen[f"{index:02d}.{suffix}"] = content
    return chosen


def _git_revision() -> str:
    """The commit this code stands at, with `-dirty` where it was changed, or `unknown` outside a checkout."""
    here = Path(__file__).parent
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
