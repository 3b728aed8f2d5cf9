"""Where a release is written: a trained network -> `releases/<model>/<version>/`, whole or not at all."""

from __future__ import annotations

import datetime
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save

from handlers import golden
from handlers.classifier import Classifier
from handlers.engines import Engine, Outputs
from handlers.engines.eager import Eager
from handlers.explain import traits
from models.card import Architecture, Card, Data, Explanations, Metrics, Trust
from models.release import NEIGHBOURS, REPORT, TRUST, WEIGHTS, Release, sha256
from training import neighbours, report, trust
from training.cost import Spent, cost
from training.data.dataset import Dataset, Picture, Split
from training.evaluate import Evaluation, evaluate, strangeness
from training.history import Epoch
from training.loop import Training
from training.measure import seen
from training.pixels import Source
from training.recipe import FILE_NAME as RECIPE_FILE
from training.recipe import Recipe
from training.trust import Scored

GOLDEN_IMAGES = 10


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves behind.

    Attributes:
        arguments: those that its network was built with.
        findings: what was found about the data.
        unlike: name and images of something else, by which it is drawn how well strange images are told.
    """

    dataset: Dataset
    recipe: Recipe
    arguments: dict[str, Any]
    training: Training
    history: list[Epoch]
    spent: Spent
    findings: tuple[str, ...] = ()
    unlike: tuple[str, Split] | None = None


def write(folder: Path, trained: Trained, device: torch.device, say: Callable[[str], None]) -> Release:
    """Fit the network's trust on the calibration split, measure it on the test split, and write all of it.

    The folder is made under another name and renamed at the end, so a run that is killed leaves no half release.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        network = trained.training.network
        weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
        # Not by save_file: it lets nobody else read the file, and has an error of its own for a full disk.
        (draft / WEIGHTS).write_bytes(save(weights))
        fitted, near = _fitted(trained, Eager(network, trained.training.spec, device))
        for remark in fitted.remarks:
            say(remark)
        if fitted.tensors:
            (draft / TRUST).write_bytes(save(fitted.tensors))
        (draft / NEIGHBOURS).write_bytes(save(near))
        # The card wants the test figures, and these want a classifier, which wants a card: draw it up, then fill it in.
        card = _card(folder, draft, trained, fitted.trust)
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
        golden.write(draft, classifier, _golden_images(trained.dataset))
        (draft / RECIPE_FILE).write_text(trained.recipe.to_yaml(), encoding="utf-8")
        findings = (*trained.findings, *fitted.remarks)
        report.write(draft / REPORT, _report(trained, classifier, test, draft / WEIGHTS, findings))
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Release(folder, card)


def _fitted(trained: Trained, engine: Engine) -> tuple[trust.Fitted, dict[str, torch.Tensor]]:
    """Trust, and the training images that explanations show beside an image."""
    training = trained.training
    train, calibration = (_scored(engine, source, training) for source in (training.train, training.calibration))
    fitted = trust.fit(train, calibration, trained.recipe.trust)
    return fitted, neighbours.tensors(trained.dataset.train, training.spec, train.outputs.embeddings)


def _scored(engine: Engine, source: Source, training: Training) -> Scored:
    """What the network makes of a split, as it will be served."""
    logits, embeddings = [], []
    for _, pixels in seen(source, training.spec):
        outputs = engine.outputs(pixels)
        logits.append(outputs.logits.cpu())
        embeddings.append(outputs.embeddings.cpu())
    return Scored(Outputs(torch.cat(logits), torch.cat(embeddings)), source.labels.cpu())


def _card(folder: Path, draft: Path, trained: Trained, fitted: Trust) -> Card:
    dataset, name = trained.dataset, trained.recipe.architecture.name
    return Card(
        name=folder.parent.name,
        version=folder.name,
        description=f"{name} trained on {dataset.name}",
        licence=dataset.licence,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        git_revision=_git_revision(),
        architecture=Architecture(name=name, arguments=trained.arguments),
        classes=dataset.classes,
        input=trained.training.spec,
        trust=fitted,
        explanations=Explanations(layer=traits.scan(trained.training.network, trained.training.spec.size).layer),
        data=Data(
            name=dataset.name,
            source=dataset.source,
            sha256=dataset.sha256,
            train=len(dataset.train),
            calibration=len(dataset.calibration),
            test=len(dataset.test),
        ),
        metrics=Metrics(accuracy=0, loss=0, test_images=0, train_cpu_seconds=0),
        digests={name: sha256(draft / name) for name in (WEIGHTS, TRUST, NEIGHBOURS) if (draft / name).exists()},
    )


def _report(
    trained: Trained, classifier: Classifier, test: Evaluation, weights: Path, findings: Sequence[str]
) -> report.Report:
    strange = None
    if trained.unlike is not None:
        name, others = trained.unlike
        scores = strangeness(classifier, others)
        strange = None if scores is None else report.Unlike(name, scores)
    return report.Report(
        test=test,
        pictures=trained.dataset.test,
        source=f"the test split of {trained.dataset.name}",
        history=trained.history,
        recipe=trained.recipe.model_dump(mode="json"),
        unlike=strange,
        cost=cost(trained.spent, classifier.twin.network, test.card.input.size, weights),
        findings=findings,
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
