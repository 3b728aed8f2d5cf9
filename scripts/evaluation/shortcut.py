"""Demonstrate shortcut learning: one of two models learns a mark in the corner instead of the objects.

Both models are trained on the same drawn images, one data set with the mark. Both are right on their own test split.
Without the mark the second model fails. Its explanations show this before.

For example:

    torchlight shortcut-demo --out demo
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from handlers.classifier import Classifier
from scripts import cli
from scripts.evaluation import explain_report
from training import recipe
from training.data import DATASETS
from training.data.builtin import shapes
from training.evaluate import evaluate
from training.explanations.default_method import choose
from training.explanations.figures import ExplanationFigures
from training.loop.job import TrainingJob
from training.report import gallery
from training.report.style import picture, plain
from training.report.words import percent
from training.train import train

OUT = Path("shortcut-demo")
PICTURE = "shortcut-demo.png"
VERSION = "1.0"
IMAGES, SHOWN = 32, 6
# Changes of the recipe: a small network that trains fast, the same for both.
RECIPE_CHANGES = {
    "architecture": {"name": "resnet9", "arguments": {"width": 8}},
    "progressive": None,
    "epochs": 10,
}


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One of the two models.

    Attributes:
        name: name of the data set.
        own_accuracy: accuracy on its own test split.
        other_accuracy: accuracy on the same images, with the mark added or removed.
        figures: figures of its explanations.
        rows: examples of its own test split, with an overlay by each method.
    """

    name: str
    own_accuracy: float
    other_accuracy: float
    figures: ExplanationFigures
    rows: list[gallery.GalleryRow]

    def relevance_mass(self, method: str) -> float:
        """Return the share of the evidence on the object, by one method."""
        relevance_mass = self.figures.method(method).relevance_mass
        assert relevance_mass is not None  # both data sets have masks
        return relevance_mass.value


def main(*, out: Path = OUT, images: explain_report.ImageCount = IMAGES) -> None:
    """Train and measure both models, and show the result.

    Args:
        out: folder for models, reports and figure
        images: images of each test split to measure explanations on
    """
    run(out, images)


def run(out: Path = OUT, images: int = IMAGES) -> tuple[TrainedModel, TrainedModel]:
    """Train both models, unless `out` has them, and compare their explanations."""
    pair = (shapes.NAME, shapes.SPURIOUS)
    healthy, spurious = (_trained(out, *names, images) for names in (pair, pair[::-1]))
    # Use one method for both, so that only the models differ.
    method = choose(healthy.figures).method.name
    header = (
        "trained on",
        "right on its own test split",
        "with the mark added or removed",
        f"evidence on the object ({method})",
    )
    rows = [
        (
            model.name,
            percent(model.own_accuracy),
            percent(model.other_accuracy),
            percent(model.relevance_mass(method)),
        )
        for model in (healthy, spurious)
    ]
    print()
    for row in (header, *rows):
        print("  ".join(f"{cell:<{max(len(title), 15)}}" for cell, title in zip(row, header, strict=True)))
    draw(out / PICTURE, method, healthy, spurious)
    print(out / PICTURE)
    return healthy, spurious


def draw(path: Path, method: str, *models: TrainedModel) -> None:
    """Draw images of each model's test split, with an overlay below each."""
    with picture(path, 1.7 * SHOWN + 1.2, 9.2) as figure:
        subfigures = figure.subfigures(len(models), 1, squeeze=False)[:, 0]
        for subfigure, model in zip(subfigures, models, strict=True):
            outside = percent(1 - model.relevance_mass(method))
            subfigure.suptitle(
                f"trained on {model.name}: {percent(model.own_accuracy)} right, and {outside} of the evidence "
                f"({method}) lies outside the object",
                x=0.01,
                ha="left",
                fontsize=11,
                weight="bold",
            )
            grid = subfigure.subplots(2, SHOWN, squeeze=False)
            for above, below, row in zip(grid[0], grid[1], model.rows, strict=False):
                for axes, content in ((above, row.image), (below, row.overlays[method])):
                    axes.imshow(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), interpolation="nearest")
                    plain(axes)
                wrong = f"\n(it is a {row.labeled})" if row.labeled != row.answered else ""
                above.set_title(
                    f"{row.answered}, {percent(row.probability)}{wrong}", loc="center", weight="normal", size=9
                )


def _trained(out: Path, name: str, other: str, images: int) -> TrainedModel:
    folder = out / name / VERSION
    dataset = DATASETS[name]()
    if not folder.exists():
        job_recipe = recipe.load("resnet9", {**RECIPE_CHANGES, "data": name})
        print(f"training {folder}: {job_recipe.architecture.name} on {name}, {job_recipe.epochs} epochs", flush=True)
        train(TrainingJob(dataset=dataset, model=name, version=VERSION, recipe=job_recipe, root=out, restart=True))
    figures, rows = explain_report.run(folder, name, images)
    classifier = Classifier.load(folder)
    own_accuracy, other_accuracy = (
        evaluate(classifier, DATASETS[data_name]().test).accuracy for data_name in (name, other)
    )
    # The last row is a wrong prediction if there is one.
    return TrainedModel(name, own_accuracy, other_accuracy, figures, [*rows[: SHOWN - 1], rows[-1]])


if __name__ == "__main__":
    cli.run("shortcut-demo")
