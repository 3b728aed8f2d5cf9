"""Measure all attribution methods on a release, choose its default, and write a page: report/explanations.html.

For example:

    torchlight explain-report --model cells --images 64
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.classifier import Classifier
from handlers.explain.plugin import AttributionPlugin
from models.release import REPORT, find
from scripts import cli, flag_values
from scripts.evaluation.evaluate import own_data
from training import data, explanations
from training.data.left_out import capped
from training.evaluate import matched
from training.explanations import ExplanationFigures, default_method
from training.explanations.conclusions import conclusions
from training.loop.distributed import own_device
from training.report import explanations as page
from training.report import gallery

IMAGES = 128
# Number of images to measure on: intervals need two.
ImageCount = Annotated[int, Parameter(validator=flag_values.between(2, 1_000_000))]


def main(
    *,
    model: str = "digits",
    version: str | None = None,
    data: str | None = None,
    images: ImageCount = IMAGES,
    device: str | None = None,
) -> None:
    """Measure the methods on the release that the flags name.

    Args:
        model: name of the model
        version: version of the release (default: the newest)
        data: data set with the test split, as for `torchlight train` (default: the data of the release)
        images: number of test images, drawn with a seed
        device: cpu, cuda:0, ... (default: a GPU if there is one)
    """
    release = find(model, version)
    run(release.folder, data or own_data(release), images, device)


def run(
    folder: Path, argument: str, images: int = IMAGES, device: str | None = None
) -> tuple[ExplanationFigures, list[gallery.GalleryRow]]:
    """Measure the release in `folder`, print a table, write the report, and write the default method into the card.

    Returns the figures and the images of the report.
    """
    dataset, left_out = data.load(argument)
    for sentence in capped(left_out):
        print(sentence)
    classifier = Classifier.load(folder, own_device(device))
    card = classifier.card
    split = matched(dataset.test, dataset.classes, card)
    sample = explanations.draw(classifier, split, images)
    figures, maps = explanations.measure(classifier, sample)
    source = f"the test split of {dataset.name}"
    rows = gallery.rows(sample, maps, gallery.places(sample))
    page.write(folder / REPORT, card, source, figures, rows)
    introspection = AttributionPlugin(classifier).explainer.target_score.introspection
    default_method.write_to_card(folder, figures, introspection.layer)
    print(f"{card.name} {card.version}: methods on {len(sample)} images of {source}")
    print(table(figures))
    for sentence in conclusions(figures):
        print(f"- {sentence}")
    print(f"{folder}/card.yaml and {folder}/{REPORT}/{page.FILE_NAME}")
    return figures, rows


def table(figures: ExplanationFigures) -> str:
    """Format the figures of each method, best first."""
    header = [
        "method",
        "gap",
        "low",
        "high",
        "vs random",
        "vs center",
        "debias",
        "complete",
        "randomization",
        "|rho|",
        "unsigned",
    ]
    header += ["stability", "ms"]
    header += ["on object", "pointing game"] if figures.object_share is not None else []
    rows = [header]
    for method in sorted(figures.methods, key=lambda method: -method.gap.value):
        gap = method.gap
        values = (
            gap.value,
            gap.low,
            gap.high,
            method.versus_random.value,
            method.versus_center.value,
            method.remove_and_debias,
        )
        complete = "-" if method.completeness is None else f"{method.completeness:.0%}"
        row = [method.name, *(f"{value:.3f}" for value in values), complete]
        row += [
            f"{method.randomization_test:.3f}",
            f"{method.spearman:.3f}",
            f"{method.unsigned:.3f}",
            f"{method.stability:.2f}",
        ]
        row += [f"{method.milliseconds:.3g}"]
        if method.relevance_mass is not None and method.pointing_game is not None:
            row += [f"{method.relevance_mass.value:.0%}", f"{method.pointing_game:.0%}"]
        rows.append(row)
    trivial_maps = (("random", figures.random_gap), ("center", figures.center_gap))
    rows += [[name, f"{mean.value:.3f}"] for name, mean in trivial_maps]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(header))]
    return "\n".join(
        "  "
        + "  ".join(
            f"{cell:<{width}}" if not column else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in rows
    )


if __name__ == "__main__":
    cli.run("explain-report")
