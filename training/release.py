"""Write a release: a trained network -> `releases/<model>/<version>/`. The folder appears when it is complete."""

from __future__ import annotations

import datetime
import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save
from tqdm import tqdm

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines import Engine, Outputs
from handlers.engines.eager import Eager
from handlers.errors import RequestError
from handlers.explain.methods import introspection
from handlers.modalities.image.images import center_crop
from handlers.uncertainty.observation import observe
from models.card import Architecture, Card, Data, Explanations, Metrics, UncertaintyCard
from models.printable import printable
from models.release import NEIGHBORS, REPORT, UNCERTAINTY, WEIGHTS, Release, sha256
from training import battery, metrics, neighbors, report, uncertainty
from training.cost import Spent, cost
from training.data.dataset import Dataset, RawImage
from training.evaluate import Evaluation, correct, losses, ood_scores, outputs
from training.loop.augment import AugmentationRng, changed
from training.loop.history import Epoch
from training.loop.job import TrainingJob
from training.loop.loader import CHUNK, BatchSource
from training.loop.loop import Training
from training.loop.measure import seen
from training.metrics.battery import measure_battery
from training.recipe import FILE_NAME as RECIPE_FILE
from training.uncertainty import Scored, ScoredBatterySet

GOLDEN_IMAGES = 10
# The report shows other foreign images than those that the OOD score is chosen on.
BATTERY_SEED = 1


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a training.

    Attributes:
        arguments: those that the network was built with.
    """

    job: TrainingJob
    arguments: dict[str, Any]
    training: Training
    history: list[Epoch]
    spent: Spent


@dataclass(frozen=True, slots=True)
class Written:
    """A release on disk, and the values for its report.

    Attributes:
        classifier: loaded from the release.
        test: predictions for the test split.
        remarks: sentences about the fitted uncertainty.
    """

    release: Release
    classifier: Classifier
    test: Evaluation
    remarks: tuple[str, ...]


def write(folder: Path, trained: Trained) -> Written:
    """Fit the uncertainty on the calibration split, measure on the test split, and write everything but the report.

    The files go into a temporary folder that is renamed at the end, so a killed run leaves no partial release.
    """
    job, spec = trained.job, trained.training.spec
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        network = trained.training.network
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        # Not save_file: it makes the file private to its owner, and raises its own error when the disk is full.
        (draft / WEIGHTS).write_bytes(save(weights))
        engine = Eager(network, spec, job.device)
        fitted, neighbor_tensors, remarks = _fit(trained, engine)
        for remark in remarks:
            job.log(remark)
        if fitted.tensors:
            (draft / UNCERTAINTY).write_bytes(save(fitted.tensors))
        if neighbor_tensors:
            (draft / NEIGHBORS).write_bytes(save(neighbor_tensors))
        test_outputs = outputs(engine, spec, job.dataset.test)
        card = _card(folder, draft, trained, fitted.uncertainty, _metrics(trained, test_outputs, fitted.uncertainty))
        card.save(draft)
        classifier = Classifier.load(draft, job.device)
        test = Evaluation.of(card, classifier.estimator, test_outputs, job.dataset.test.labels)
        golden_answers.write(draft, classifier, _golden_images(job.dataset))
        (draft / RECIPE_FILE).write_text(job.recipe.to_yaml(), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Written(Release(folder, card), classifier, test, remarks)


def write_report(written: Written, trained: Trained) -> None:
    """Write the report into the folder of its release. Any failure is logged only: the release is complete without."""
    folder, card = written.release.folder, written.release.card
    prefix = f".{folder.name}-report-"
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent, ignore_cleanup_errors=True) as draft:
            problems = report.write(Path(draft), _report(written, trained))
            Path(draft).chmod(0o755)
            Path(draft).rename(folder / REPORT)
    except Exception as error:  # a name that a font cannot draw, a full disk, an image that was deleted
        problems = [f"the report could not be written ({type(error).__name__}: {printable(str(error))})"]
    for problem in problems:
        trained.job.log(
            f"warning: {problem}; the release is complete without it, and "
            f"`torchlight evaluate --model {card.name} --version {card.version}` writes a report"
        )


def _fit(trained: Trained, engine: Engine) -> tuple[uncertainty.Fitted, dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the fitted uncertainty, the tensors of the neighbor images, and remarks about both."""
    training, job = trained.training, trained.job
    train, calibration = (_scored(engine, source, training) for source in (training.train, training.calibration))
    settings = job.recipe.uncertainty
    sets = _battery(engine, training, job.dataset.name) if settings.ood == "auto" else ()
    fitted = uncertainty.fit(_with_changed(train, engine, trained), calibration, settings, sets)
    try:
        neighbor_tensors = neighbors.tensors(job.dataset.train, training.spec, train.outputs.embeddings)
    except (OSError, RequestError) as error:  # a file that was deleted during the training
        remark = f"explanations will show no training images, because these cannot be read ({printable(str(error))})"
        return fitted, {}, (*fitted.remarks, remark)
    return fitted, neighbor_tensors, tuple(fitted.remarks)


def _scored(engine: Engine, source: BatchSource, training: Training) -> Scored:
    """Return the outputs and labels of a split, with the preprocessing that serves."""
    chunks = [observe(engine, pixels).cpu() for _, pixels in seen(source, training.spec)]
    return Scored(Outputs.cat(chunks), source.labels.cpu())


def _with_changed(train: Scored, engine: Engine, trained: Trained) -> Scored:
    """Return the training images and a copy of each, changed as in training, if the recipe changes their look.

    The network was trained on such images too. Without them, it would refer an image with another tint even if its
    recipe has `augmentation.tint`.
    """
    training, how = trained.training, trained.job.recipe.augmentation
    if not (how.flip or how.quarter_turns or how.color or how.tint or how.gray or how.invert or how.blur):
        return train
    source, seed = training.train, torch.Generator().manual_seed(trained.job.recipe.seed)
    chunks = torch.split(torch.arange(len(source.labels)), CHUNK)
    outputs = [train.outputs]
    for uncropped in source.batches(chunks):
        count = len(uncropped)
        pixels = changed(uncropped, training.spec, how, AugmentationRng(seed, slice(0, count), count))
        outputs.append(observe(engine, pixels).cpu())
    return Scored(Outputs.cat(outputs), train.labels.repeat(2))


def _battery(engine: Engine, training: Training, dataset_name: str) -> list[ScoredBatterySet]:
    """Return the outputs for the battery of calibration images, on which the OOD score is chosen."""
    source, spec = training.calibration, training.spec
    labels = source.labels.cpu()
    chosen = battery.sample(labels)
    pixels = center_crop(next(iter(source.batches([chosen]))), spec.size)
    sets = battery.battery_sets(pixels, labels[chosen], spec, dataset_name, seed=BATTERY_SEED)
    return [
        ScoredBatterySet(entry.name, observe(engine, entry.pixels).cpu(), entry.labels)
        for entry in tqdm(sets, desc="choose the OOD score", unit="set", disable=None, leave=False)
    ]


def _metrics(trained: Trained, test: Outputs, fitted: UncertaintyCard) -> Metrics:
    """Return the card's metrics, from the outputs for the test split."""
    labels = torch.tensor(trained.job.dataset.test.labels)
    logits = test.logits.cpu()
    return Metrics(
        accuracy=round(float(correct(logits, labels).double().mean()), 6),
        loss=round(float(losses(logits, labels, fitted.temperature).mean()), 6),
        test_images=len(labels),
        train_cpu_seconds=round(trained.spent.cpu_seconds, 1),
    )


def _card(folder: Path, draft: Path, trained: Trained, fitted: UncertaintyCard, metrics: Metrics) -> Card:
    dataset, name, spec = trained.job.dataset, trained.job.recipe.architecture.name, trained.training.spec
    return Card(
        name=folder.parent.name,
        version=folder.name,
        description=f"{name} trained on {dataset.name}",
        license=dataset.license,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        git_revision=_git_revision(),
        architecture=Architecture(name=name, arguments=trained.arguments),
        classes=dataset.classes,
        input=spec,
        uncertainty=fitted,
        explanations=Explanations(layer=introspection.introspect(trained.training.network, spec.size).layer),
        data=Data(
            name=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256,
            train=len(dataset.train),
            calibration=len(dataset.calibration),
            test=len(dataset.test),
        ),
        metrics=metrics,
        digests={name: sha256(draft / name) for name in (WEIGHTS, UNCERTAINTY, NEIGHBORS) if (draft / name).exists()},
    )


def _report(written: Written, trained: Trained) -> report.Report:
    job, classifier, test = trained.job, written.classifier, written.test
    ood_data = None
    if job.ood_data is not None:
        name, split = job.ood_data
        scores = ood_scores(classifier, split)
        ood_data = None if scores is None else metrics.OodData(name, scores)
    weights = written.release.folder / WEIGHTS
    return report.Report(
        test=test,
        pictures=job.dataset.test,
        source=f"the test split of {job.dataset.name}",
        history=trained.history,
        recipe=job.recipe.model_dump(mode="json"),
        ood_data=ood_data,
        battery=measure_battery(classifier, job.dataset.test, job.ood_data),
        cost=cost(trained.spent, classifier.eager_network.network, test.card.input.size, weights),
        data_warnings=(*job.data_warnings, *written.remarks),
    )


def _golden_images(dataset: Dataset) -> dict[str, bytes]:
    """Return the first calibration image of each class, up to GOLDEN_IMAGES classes, by file name."""
    chosen: dict[str, bytes] = {}
    for index in range(min(len(dataset.classes), GOLDEN_IMAGES)):
        content = _encoded(dataset.calibration.images[dataset.calibration.labels.index(index)])
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg" if content.startswith(b"\xff\xd8") else "webp"
        chosen[f"{index:02d}.{suffix}"] = content
    return chosen


def _encoded(picture: RawImage) -> bytes:
    if isinstance(picture, bytes):
        return picture
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _git_revision() -> str:
    """Return the commit of this code, with `-dirty` after local changes, or `unknown` outside a checkout."""
    folder = Path(__file__).parent
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
