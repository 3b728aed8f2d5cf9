"""Catch a model that is right for the wrong reason: of two models, one learns a mark in the corner, not the objects.

Both are trained on the same drawn images, of one data set with the mark, and both are right about their own test split.
Without the mark the second fails; its explanations say so before that.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from handlers.classifier import Classifier
from scripts.command import command
from scripts.evaluation import explain_report
from training import recipe
from training.data import DATASETS
from training.data.builtin import shapes
from training.evaluate import evaluate
from training.explanations.default_method import choose
from training.explanations.figures import Measured
from training.job import TrainingJob
from training.report import gallery
from training.report.style import picture, plain
from training.report.words import percent
from training.train import train

OUT = Path("shortcut-demo")
PICTURE = "shortcut-demo.png"
VERSION = "1.0"
IMAGES, SHOWN = 32, 6
# Small and quick, and the same for both.
CHANGES = {
    "architecture": {"name": "resnet9", "arguments": {"width": 8}},
    "progressive": None,
    "epochs": 10,
}


@dataclass(frozen=True, slots=True)
class Trained:
    """One of the two models.

    Attributes:
        name: of the data set.
        own, other: the share of right answers on its own test split, and on the same images with or without the mark.
        measured: of its explanations.
        rows: some images of its own test split, with what each method shows.
    """

    name: str
    own: float
    other: float
    measured: Measured
    rows: list[gallery.Row]

    def mass(self, method: str) -> float:
        """The share of its evidence that lies on the object, by one method."""
        found = self.measured.method(method).mass
        assert found is not None  # both data sets have masks
        return found.value


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, train, measure, show."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluation.shortcut",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder for models, reports, picture (default: {OUT}/)")
    parser.add_argument(
        "--images",
        type=explain_report.count,
        default=IMAGES,
        help=f"of each test split, to measure explanations on (default: {IMAGES})",
    )
    arguments = parser.parse_args(argv)
    run(arguments.out, arguments.images)


def run(out: Path = OUT, images: int = IMAGES) -> tuple[Trained, Trained]:
    """Train both models, unless `out` has them already, and show what their explanations tell."""
    pair = (shapes.NAME, shapes.SPURIOUS)
    healthy, spurious = (_trained(out, *names, images) for names in (pair, pair[::-1]))
    # One method for both, so that the models alone differ.
    method = choose(healthy.measured).name
    heads = (
        "trained on",
        "right on its own test split",
        "with the mark added or removed",
        f"evidence on the object ({method})",
    )
    rows = [(one.name, percent(one.own), percent(one.other), percent(one.mass(method))) for one in (healthy, spurious)]
    print()
    for row in (heads, *rows):
        print("  ".join(f"{cell:<{max(len(head), 15)}}" for cell, head in zip(row, heads, strict=True)))
    draw(out / PICTURE, method, healthy, spurious)
    print(f"look at {out / PICTURE}")
    return healthy, spurious


def draw(path: Path, method: str, *models: Trained) -> None:
    """Images of each model's test split, and below each what the model looks at."""
    with picture(path, 1.7 * SHOWN + 1.2, 9.2) as figure:
        parts = figure.subfigures(len(models), 1, squeeze=False)[:, 0]
        for part, one in zip(parts, models, strict=True):
            part.suptitle(
                f"trained on {one.name}: {percent(one.own)} right, and {percent(1 - one.mass(method))} of the evidence "
                f"({method}) lies outside the object",
                x=0.01,
                ha="left",
                fontsize=11,
                weight="bold",
            )
            grid = part.subplots(2, SHOWN, squeeze=False)
            for above, below, row in zip(grid[0], grid[1], one.rows, strict=False):
                for axes, content in ((above, row.image), (below, row.overlays[method])):
                    axes.imshow(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), interpolation="nearest")
                    plain(axes)
                wrong = f"\n(it is a {row.labeled})" if row.labeled != row.answered else ""
                above.set_title(
                    f"{row.answered}, {percent(row.probability)}{wrong}", loc="center", weight="normal", size=9
                )


def _trained(out: Path, name: str, other: str, images: int) -> Trained:
    folder = out / name / VERSION
    dataset = DATASETS[name]()
    if not folder.exists():
        how = recipe.load("resnet9", {**CHANGES, "data": name})
        print(f"training {folder}: {how.architecture.name} on {name}, {how.epochs} epochs", flush=True)
        train(TrainingJob(dataset=dataset, model=name, version=VERSION, recipe=how, root=out, restart=True))
    measured, rows = explain_report.run(folder, name, images)
    classifier = Classifier.load(folder)
    own, others = (evaluate(classifier, DATASETS[one]().test).accuracy for one in (name, other))
    # The last one is a mistake where there is any.
    return Trained(name, own, others, measured, [*rows[: SHOWN - 1], rows[-1]])


if __name__ == "__main__":
    main()
