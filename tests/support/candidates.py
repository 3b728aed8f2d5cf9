"""Candidates for rollouts: a good 2.0, and four bad ones, each of which another check must stop.

All are real releases that load through their card and reproduce their golden answers. They take a second or two, made
from a trained release of the digits. The pair of the shortcut is trained once, and stays in the test cache.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from PIL import Image
from safetensors.torch import save

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.modalities.image import images as image_input
from models import documents
from models.architectures.cnn import CNN
from models.card import Card
from models.golden import ANSWERS, FOLDER
from models.release import WEIGHTS, Release, sha256
from models.tensors import load_tensors
from serving.artifacts import archive as archiving
from serving.artifacts.model_config import ModelConfig
from tests.support.docker_host import cache
from training import recipe
from training.data import DATASETS, Dataset
from training.data.builtin import shapes
from training.data.dataset import RawImage
from training.loop.job import TrainingJob
from training.train import train

REPOSITORY = Path(__file__).resolve().parents[2]
ARCHITECTURES = Path(__file__).resolve().parent / "architectures"
Weights = dict[str, torch.Tensor]

SEED = 0
# Noise of the weights, as a multiple of each tensor's own deviation. 0.1 changes some 0.3 % of the labels.
SLIGHT_NOISE = 0.1
# Noise that costs accuracy is searched from the first value in steps of the second.
NOISE_START, NOISE_STEP = 0.5, 0.1
LOST_ACCURACY = 0.03
# A prediction over HTTP takes more than twice as long with so many passes, on a busy machine too.
PASSES = 80
FAILING_CLASS = "7"
# A hidden unit of the failing network has this value where it is active, and this weight. The product is infinite.
OVERFLOWING = 1e25
RIDGE = 1e-3
# Recipe of both models of the shortcut: that of scripts/evaluation/shortcut.py, two epochs shorter.
SHORTCUT_RECIPE = {"architecture": {"name": "resnet9", "arguments": {"width": 8}}, "progressive": None, "epochs": 8}
SHORTCUT_MODEL = "shapes"


def good(stable: Release, folder: Path, version: str = "2.0") -> Release:
    """Return the stable network with slight noise on its weights: it is right as often, for the same reasons."""
    return _with_weights(stable, folder, version, lambda weights: _noisy(weights, SLIGHT_NOISE))


def less_accurate(stable: Release, folder: Path, version: str = "2.0") -> Release:
    """Return the stable network with so much noise that it is right for 3 points fewer of the held-out digits."""
    dataset = DATASETS["digits"]()
    accuracy, noise = _accuracy(stable, dataset), NOISE_START
    while True:
        release = _with_weights(stable, folder, version, lambda weights: _noisy(weights, noise))  # noqa: B023
        if _accuracy(release, dataset) <= accuracy - LOST_ACCURACY:
            return release
        shutil.rmtree(folder)
        noise += NOISE_STEP


def slow(stable: Release, folder: Path, version: str = "2.0", passes: int = PASSES) -> Release:
    """Return the stable network with the same answers and `passes` times the work of its convolutions."""
    architecture = stable.card.architecture
    arguments = architecture.arguments | {"passes": passes}
    repeated = architecture.model_copy(update={"name": "repeated_cnn", "arguments": arguments})
    shutil.copytree(stable.folder, folder)
    return _with_card(folder, stable.card.model_copy(update={"version": version, "architecture": repeated}))


def failing(stable: Release, folder: Path, version: str = "2.0") -> Release:
    """Return a network whose logits overflow for all digits of one class but the golden one, so they get a 500.

    A hidden unit separates these images from all others, and has huge weights. It is 0 for the others.
    """
    dataset = DATASETS["digits"]()
    splits = (dataset.train, dataset.calibration, dataset.test)
    images = [image for split in splits for image in split.images]
    labels = torch.tensor([label for split in splits for label in split.labels])
    classifier, failing_class = Classifier.load(stable.folder), stable.card.classes.index(FAILING_CLASS)
    fails = (labels == failing_class) | (classifier.logits(images).argmax(dim=1) == failing_class)
    golden = set(_golden_images(stable.folder).values())
    fails &= torch.tensor([image not in golden for image in images])

    def change(weights: Weights) -> Weights:
        features = _features(classifier, images)
        hidden, out = weights["classifier.1.weight"], weights["classifier.3.weight"]
        unit = int(out.abs().amax(dim=0).argmin())
        hidden[unit] = OVERFLOWING * _separating(features, fails)
        weights["classifier.1.bias"][unit] = 0
        out[:, unit] = 0
        out[failing_class, unit] = OVERFLOWING
        return weights

    return _with_weights(stable, folder, version, change)


@dataclass(frozen=True, slots=True)
class ShortcutPair:
    """A stable version that looks at the objects, and a candidate that looks at the mark in the corner.

    Attributes:
        images: marked images for which both versions predict the same label.
        labels: right labels of these images, as indices into the card's classes.
    """

    stable: Release
    candidate: Release
    images: Sequence[bytes]
    labels: Sequence[int]


def shortcut_pair(folder: Path) -> ShortcutPair:
    """Return both versions of `shapes` as copies in `folder`, trained first unless the test cache has them."""
    trained = [_trained_shapes(name) for name in (shapes.NAME, shapes.SPURIOUS)]
    releases: list[Release] = []
    for version, source in zip(("1.0", "2.0"), trained, strict=True):
        shutil.copytree(source, folder / version)
        card = Card.load(source).model_copy(update={"name": SHORTCUT_MODEL, "version": version})
        releases.append(_with_card(folder / version, card))
    dataset = DATASETS[shapes.SPURIOUS]()
    images, labels = held_out(dataset)
    first, second = (Classifier.load(release.folder).logits(images).argmax(dim=1) for release in releases)
    agreed = (first == second).nonzero().flatten().tolist()
    stable, candidate = releases
    return ShortcutPair(stable, candidate, [_png(images[row]) for row in agreed], [labels[row] for row in agreed])


def held_out(dataset: Dataset) -> tuple[list[RawImage], list[int]]:
    """Return images and labels of both splits that a network is not trained on."""
    splits = (dataset.test, dataset.calibration)
    return [image for split in splits for image in split.images], [label for split in splits for label in split.labels]


def put(release: Release, root: Path) -> Path:
    """Archive a release into a model store, with the code of its architecture, and return the path of the .mar."""
    with tempfile.TemporaryDirectory(prefix="torchlight-candidate-") as name:
        code = Path(name)
        for package in archiving.CODE:
            shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
        for module in ARCHITECTURES.glob("[!_]*.py"):
            if module.stem == release.card.architecture.name:
                shutil.copy(module, code / "models" / "architectures")
        with mock.patch.object(archiving, "REPOSITORY", code):
            path, _ = archiving.archive(release, ModelConfig(), root)
    return path


def _with_weights(stable: Release, folder: Path, version: str, change: Callable[[Weights], Weights]) -> Release:
    """Return a copy of a release with changed weights, and with golden answers of its own."""
    shutil.copytree(stable.folder, folder)
    (folder / WEIGHTS).write_bytes(save(change(load_tensors(folder / WEIGHTS))))
    digests = stable.card.digests | {WEIGHTS: sha256(folder / WEIGHTS)}
    release = _with_card(folder, stable.card.model_copy(update={"version": version, "digests": digests}))
    golden_answers.write(folder, Classifier.load(folder), _golden_images(folder))
    return release


def _with_card(folder: Path, card: Card) -> Release:
    card.save(folder)
    return Release(folder, card)


def _golden_images(folder: Path) -> dict[str, bytes]:
    names = documents.read_json(folder / ANSWERS)["probabilities"]
    return {name: (folder / FOLDER / name).read_bytes() for name in names}


def _noisy(weights: Weights, amount: float) -> Weights:
    """Return weights with normal noise, whose deviation is `amount` times that of each tensor."""
    random = torch.Generator().manual_seed(SEED)
    return {
        name: tensor + amount * tensor.std() * torch.randn(tensor.shape, generator=random)
        for name, tensor in weights.items()
    }


def _accuracy(release: Release, dataset: Dataset) -> float:
    images, labels = held_out(dataset)
    predicted = Classifier.load(release.folder).logits(images).argmax(dim=1)
    return float((predicted == torch.tensor(labels)).double().mean())


def _features(classifier: Classifier, images: Sequence[RawImage]) -> torch.Tensor:
    """Return the inputs of the first linear layer, float32 (N, D)."""
    spec, network = classifier.card.input, classifier.eager_network.network
    assert isinstance(network, CNN)
    pixels = [image_input.pixels(image_input.picture(image, spec), spec) for image in images]
    with torch.no_grad():
        features: torch.Tensor = network.features(image_input.batch(pixels, spec, torch.device("cpu")))
    return features.flatten(1)


def _separating(features: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Return the direction (D,) in which the positive rows of the features (N, D) are above 0, and the others below.

    Ridge regression in its dual form. There are more features than rows, so it separates them.
    """
    rows = features.double()
    signs = torch.where(positive, 1.0, -1.0).double()
    gram = rows @ rows.T
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(rows), dtype=torch.float64)
    direction: torch.Tensor = rows.T @ torch.linalg.solve(gram, signs)
    assert bool(((rows @ direction > 0) == positive).all()), "the images of the class cannot be separated"
    return direction.float()


def _trained_shapes(dataset_name: str) -> Path:
    """Return the folder of a release that was trained on the drawn shapes, from the test cache if it is there."""
    sources = sorted(path for package in ("models", "training") for path in (REPOSITORY / package).rglob("*.py"))
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    root = cache() / f"shapes-{code}"
    folder = root / dataset_name / "1.0"
    if not folder.exists():
        shapes_recipe = recipe.load("resnet9", SHORTCUT_RECIPE | {"data": dataset_name})
        dataset = DATASETS[dataset_name]()
        train(
            TrainingJob(
                dataset=dataset, model=dataset_name, version="1.0", recipe=shapes_recipe, root=root, restart=True
            )
        )
    return folder


def _png(image: RawImage) -> bytes:
    if isinstance(image, bytes):
        return image
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
