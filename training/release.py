"""Where a release is written: a trained network -> `releases/<model>/<version>/`, whole or not at all."""

from __future__ import annotations

import datetime
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save

from handlers import golden_answers
from handlers.engines import Engine, Outputs
from handlers.engines.eager import Eager
from handlers.errors import RequestError
from handlers.explain.methods import introspection
from handlers.pipeline import Classifier
from models.card import Architecture, Card, Data, Explanations, Metrics, UncertaintyCard
from models.printable import printable
from models.release import NEIGHBORS, REPORT, UNCERTAINTY, WEIGHTS, Release, sha256
from training import neighbors, report, uncertainty
from training.cost import Spent, cost
from training.data.dataset import Dataset, Picture, Split
from training.evaluate import Evaluation, evaluate, ood_scores
from training.loop.history import Epoch
from training.loop.loader import BatchSource
from training.loop.loop import Training
from training.loop.measure import seen
from training.recipe import FILE_NAME as RECIPE_FILE
from training.recipe import Recipe
from training.uncertainty import Scored

GOLDEN_IMAGES = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves behind.

    Attributes:
        arguments: those that its network was built with.
        data_warnings: what was found about the data.
        ood_data: name and images of something else, by which it is drawn how well strange images are told.
    """

    dataset: Dataset
    recipe: Recipe
    arguments: dict[str, Any]
    training: Training
    history: list[Epoch]
    spent: Spent
    data_warnings: tuple[str, ...] = ()
    ood_data: tuple[str, Split] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A release that is on the disk, and what its report is made from.

    Attributes:
        classifier: the release as it is served.
        test: its answers to the test split.
        remarks: what is worth knowing of what was fitted.
    """

    release: Release
    classifier: Classifier
    test: Evaluation
    remarks: tuple[str, ...]


def write(folder: Path, trained: Trained, device: torch.device, say: Callable[[str], None]) -> Written:
    """Fit the uncertainty on the calibration split, measure it on the test split, and write all but the report.

    The folder is made under another name and renamed at the end, so a run that is killed leaves no half release.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        network = trained.training.network
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        # Not by save_file: it lets nobody else read the file, and has an error of its own for a full disk.
        (draft / WEIGHTS).write_bytes(save(weights))
        fitted, near, remarks = _fitted(trained, Eager(network, trained.training.spec, device))
        for remark in remarks:
            say(remark)
        if fitted.tensors:
            (draft / UNCERTAINTY).write_bytes(save(fitted.tensors))
        if near:
            (draft / NEIGHBORS).write_bytes(save(near))
        # The card wants the test figures, and these want a classifier, which wants a card: draw it up, then fill it in.
        card = _card(folder, draft, trained, fitted.uncertainty)
        card.save(draft)
        classifier = Classifier.load(draft, device)
        test = evaluate(classifier, trained.dataset.test)
        metrics = Metrics(
            accuracy=round(test.accuracy, 6),
            loss=round(test.loss, 6),
            test_images=len(trained.dataset.test),
            train_cpu_seconds=round(trained.spent.cpu_seconds, 1),
        )
        card = card.model_copy(update={"metrics": metrics})
        card.save(draft)
        test = replace(test, card=card)
        golden_answers.write(draft, classifier, _golden_images(trained.dataset))
        (draft / RECIPE_FILE).write_text(trained.recipe.to_yaml(), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Written(Release(folder, card), classifier, test, remarks)


def write_report(written: Written, trained: Trained, say: Callable[[str], None]) -> None:
    """Write the report of a release into its folder. What fails is said, whatever it is: the release is whole."""
    folder, card = written.release.folder, written.release.card
    hidden = f".{folder.name}-report-"
    try:
        with tempfile.TemporaryDirectory(prefix=hidden, dir=folder.parent, ignore_cleanup_errors=True) as draft:
            problems = report.write(Path(draft), _report(written, trained))
            Path(draft).chmod(0o755)
            Path(draft).rename(folder / REPORT)
    except Exception as error:  # a name that a font breaks on, a full disk, an image that is gone
        problems = [f"the report could not be written ({type(error).__name__}: {printable(str(error))})"]
    for problem in problems:
        say(
            f"warning: {problem}; the release is whole without it, and `make evaluate MODEL={card.name} "
            f"VERSION={card.version}` writes a report"
        )


def _fitted(trained: Trained, engine: Engine) -> tuple[uncertainty.Fitted, dict[str, torch.Tensor], tuple[str, ...]]:
    """Fit the uncertainty, the training images that explanations show, and what is worth knowing of both."""
    training = trained.training
    train, calibration = (_scored(engine, source, training) for source in (training.train, training.calibration))
    fitted = uncertainty.fit(train, calibration, trained.recipe.uncertainty)
    try:
        near = neighbors.tensors(trained.dataset.train, training.spec, train.outputs.embeddings)
    except (OSError, RequestError) as error:  # a file that went away while the network was trained
        why = f"explanations will show no training images, which cannot be read any more ({printable(str(error))})"
        return fitted, {}, (*fitted.remarks, why)
    return fitted, near, tuple(fitted.remarks)


def _scored(engine: Engine, source: BatchSource, training: Training) -> Scored:
    """What the network makes of a split, as it will be served."""
    logits, embeddings = [], []
    for _, pixels in seen(source, training.spec):
        outputs = engine.outputs(pixels)
        logits.append(outputs.logits.cpu())
        embeddings.append(outputs.embeddings.cpu())
    return Scored(Outputs(torch.cat(logits), torch.cat(embeddings)), source.labels.cpu())


def _card(folder: Path, draft: Path, trained: Trained, fitted: UncertaintyCard) -> Card:
    dataset, name = trained.dataset, trained.recipe.architecture.name
    return Card(
        name=folder.parent.name,
        version=folder.name,
        description=f"{name} trained on {dataset.name}",
        license=dataset.license,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        git_revision=_git_revision(),
        architecture=Architecture(name=name, arguments=trained.arguments),
        classes=dataset.classes,
        input=trained.training.spec,
        uncertainty=fitted,
        explanations=Explanations(layer=introspection.scan(trained.training.network, trained.training.spec.size).layer),
        data=Data(
            name=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256,
            train=len(dataset.train),
            calibration=len(dataset.calibration),
            test=len(dataset.test),
        ),
        metrics=Metrics(accuracy=0, loss=0, test_images=0, train_cpu_seconds=0),
        digests={name: sha256(draft / name) for name in (WEIGHTS, UNCERTAINTY, NEIGHBORS) if (draft / name).exists()},
    )


def _report(written: Written, trained: Trained) -> report.Report:
    strange, classifier, test = None, written.classifier, written.test
    if trained.ood_data is not None:
        name, others = trained.ood_data
        scores = ood_scores(classifier, others)
        strange = None if scores is None else report.OodData(name, scores)
    return report.Report(
        test=test,
        pictures=trained.dataset.test,
        source=f"the test split of {trained.dataset.name}",
        history=trained.history,
        recipe=trained.recipe.model_dump(mode="json"),
        ood_data=strange,
        cost=cost(
            trained.spent, classifier.eager_network.network, test.card.input.size, written.release.folder / WEIGHTS
        ),
        data_warnings=(*trained.data_warnings, *written.remarks),
    )


def _golden_images(dataset: Dataset) -> dict[str, bytes]:
    """The first calibration image of each class, up to GOLDEN_IMAGES classes."""
    chosen: dict[str, bytes] = {}
    for index in range(min(len(dataset.classes), GOLDEN_IMAGES)):
        content = _encoded(dataset.calibration.images[dataset.calibration.labels.index(index)])
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg" if content.startswith(b"\xff\xd8") else "webp"
        chosen[f"{index:02d}.{suffix}"] = content
    return chosen


def _encoded(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _git_revision() -> str:
    """The commit this code stands at, with `-dirty` where it was changed, or `unknown` outside a checkout."""
    here = Path(__file__).parent
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
