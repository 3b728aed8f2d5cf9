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
from training.explanations import Measured, default_method
from training.explanations.conclusions import findings
from training.loop.distributed import own_device
from training.report import explanations as page
from training.report import gallery

IMAGES = 128


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and measure."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluation.explain_report", description=__doc__)
    parser.add_argument("--model", default="digits", help="which model (default: digits)")
    parser.add_argument("--version", help="which release of it (default: the newest)")
    parser.add_argument(
        "--data", help="whose test split it is measured on: as of scripts.train (default: its own data)"
    )
    parser.add_argument("--images", type=count, default=IMAGES, help=f"how many, drawn by a seed (default: {IMAGES})")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: a GPU where there is one)")
    arguments = parser.parse_args(argv)
    release = find(arguments.model, arguments.version)
    run(release.folder, arguments.data or own_data(release), arguments.images, arguments.device)


def run(
    folder: Path, argument: str, images: int = IMAGES, device: str | None = None
) -> tuple[Measured, list[gallery.Row]]:
    """Measure the release in `folder`, print a table, write the report, and put the choice into its card.

    Returns the figures, and the images that the report shows.
    """
    dataset, left_out = data.load(argument)
    for sentence in capped(left_out):
        print(sentence)
    classifier = Classifier.load(folder, own_device(device))
    card = classifier.card
    split = matched(dataset.test, dataset.classes, card)
    sample = explanations.draw(classifier, split, images)
    measured, maps = explanations.measure(classifier, sample)
    source = f"the test split of {dataset.name}"
    shown = gallery.rows(sample, maps, gallery.places(sample))
    page.write(folder / REPORT, card, source, measured, shown)
    default_method.adopt(folder, measured, AttributionPlugin(classifier).explainer.target_score.introspection.layer)
    print(f"{card.name} {card.version}: methods on {len(sample)} images of {source}")
    print(table(measured))
    for sentence in findings(measured):
        print(f"- {sentence}")
    print(f"{folder}/card.yaml and {folder}/{REPORT}/{page.FILE_NAME}")
    return measured, shown


def table(measured: Measured) -> str:
    """The figures of each method, the best first."""
    heads = ["method", "gap", "low", "high", "random", "center", "ROAD", "adds up", "likeness", "|rho|", "change", "ms"]
    heads += ["on object", "points"] if measured.object is not None else []
    rows = [heads]
    for one in sorted(measured.methods, key=lambda one: -one.gap.value):
        gaps = (one.gap.value, one.gap.low, one.gap.high, one.versus_random.value, one.versus_center.value, one.road)
        adds_up = "-" if one.completeness is None else f"{one.completeness:.0%}"
        row = [one.name, *(f"{value:.3f}" for value in gaps), adds_up]
        row += [f"{one.likeness:.3f}", f"{one.spearman:.3f}", f"{one.change:.2f}", f"{one.milliseconds:.3g}"]
        if one.mass is not None and one.pointing is not None:
            row += [f"{one.mass.value:.0%}", f"{one.pointing:.0%}"]
        rows.append(row)
    rows += [[name, f"{mean.value:.3f}"] for name, mean in (("random", measured.random), ("center", measured.center))]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(heads))]
    return "\n".join(
        "  "
        + "  ".join(
            f"{cell:<{width}}" if not at else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in rows
    )


def count(text: str) -> int:
    """A number of images that intervals can be made from."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 2")
    return int(text)


if __name__ == "__main__":
    main()
