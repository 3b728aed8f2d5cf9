"""Measure all attribution methods on a release, choose its default, and write a page: report/explanations.html."""

from __future__ import annotations

import argparse
from pathlib import Path

from handlers.classifier import Classifier
from handlers.explain.plugin import AttributionPlugin
from models.release import REPORT, find
from scripts.command import command
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


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and measure the methods."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluation.explain_report", description=__doc__)
    parser.add_argument("--model", default="digits", help="name of the model (default: digits)")
    parser.add_argument("--version", help="version of the release (default: the newest)")
    parser.add_argument(
        "--data", help="data set with the test split, as for scripts.train (default: the data of the release)"
    )
    parser.add_argument(
        "--images", type=count, default=IMAGES, help=f"number of test images, drawn with a seed (default: {IMAGES})"
    )
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: a GPU if there is one)")
    arguments = parser.parse_args(argv)
    release = find(arguments.model, arguments.version)
    run(release.folder, arguments.data or own_data(release), arguments.images, arguments.device)


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
    header = ["method", "gap", "low", "high", "vs random", "vs center", "debias", "complete", "randomization", "|rho|"]
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
        row += [f"{method.randomization_test:.3f}", f"{method.spearman:.3f}", f"{method.stability:.2f}"]
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


def count(text: str) -> int:
    """Parse a number of images, at least 2, so that intervals exist."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 2")
    return int(text)


if __name__ == "__main__":
    main()
