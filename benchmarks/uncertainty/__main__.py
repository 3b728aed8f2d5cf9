"""Measure the fitted uncertainty on several networks, and write the tables to docs/explanation/uncertainty.md.

Trains small networks of each data set with other seeds and splits, keeps them in a folder, and fits the uncertainty on
many splits of the images that they were not trained on. A run that was stopped continues with the networks in the
folder. With the defaults it takes some 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from tqdm import tqdm

from benchmarks import report
from benchmarks.uncertainty import networks, page
from benchmarks.uncertainty.decisions import measure_detection, measure_referral
from benchmarks.uncertainty.probabilities import measure
from scripts.command import command
from training.data.builtin import digits, shapes
from training.data.listing import SUFFIXES, list_images

PAGE = Path("docs/explanation/uncertainty.md")
KEEP = Path.home() / ".cache" / "torchlight" / "measured-networks"
DATA = (digits.NAME, shapes.NAME)
NETWORKS, SPLITS, REFERRAL_SPLITS = 3, 100, 10
# Calibration images.
SIZES = (60, 150, 360, 1_000)


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, train, measure, write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.uncertainty",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        help="a data set besides digits and shapes, as for `torchlight train --data`; may be repeated",
    )
    parser.add_argument("--foreign", type=Path, help="folder of images that show none of the classes, for detection")
    parser.add_argument(
        "--networks", type=int, default=NETWORKS, help=f"networks of each data set (default: {NETWORKS})"
    )
    parser.add_argument("--keep", type=Path, default=KEEP, help=f"folder to keep the networks in (default: {KEEP})")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"page to write the tables into (default: {PAGE})")
    arguments = parser.parse_args(argv)
    if arguments.networks < 1:
        raise ValueError(f"--networks is {arguments.networks}; it must be at least 1")
    sources = [*DATA, *arguments.data]
    foreign = _images(arguments.foreign) if arguments.foreign else []
    trainings = list(product(range(arguments.networks), sources))
    for seed, source in tqdm(trainings, desc="train", unit="network"):
        networks.train(source, seed, arguments.keep)
    text = "\n\n".join(_sections(sources, arguments.networks, arguments.keep, foreign))
    head = f"By `{_shown(arguments)}` {report.where()}."
    report.put(arguments.page, "uncertainty", f"{head}\n\n{text}")
    print(text)


def _sections(sources: list[str], count: int, folder: Path, foreign: list[bytes]) -> Iterator[str]:
    """Measure, and yield the paragraphs and tables of the page."""
    probabilities, referrals, detections = [], [], []
    with tqdm(total=len(sources) * (1 + 2 * len(SIZES)), desc="measure", unit="step") as bar:
        for source in sources:
            loaded = [networks.load(networks.name_of(source), seed, folder) for seed in range(count)]
            detection, scores = measure_detection(loaded, REFERRAL_SPLITS, foreign)
            detections.append(detection)
            bar.update()
            for images in SIZES:
                probabilities.append(measure(loaded, images, SPLITS))
                bar.update()
                referrals.append(measure_referral(loaded, scores, images, REFERRAL_SPLITS))
                bar.update()
            measured = sum(len(network.pool.labels) for network in loaded) // count
            bar.write(f"{networks.name_of(source)}: {measured:,} images that {count} networks were not trained on")
    pairs = [pair for pair in probabilities if pair is not None]
    yield (
        f"Each data set has {count} small networks (recipe `{networks.RECIPE}`, at most {networks.MAX_TRAIN:,} "
        "images), with other seeds and splits. The images that a network was not trained on are split at random into "
        f"calibration and held-out images: {SPLITS} times, and {REFERRAL_SPLITS} times for referral and false alarms. "
        "Parentheses show the lowest and the highest network."
    )
    yield "**Calibration**, on held-out images:"
    yield page.calibration_table([calibration for calibration, _ in pairs])
    yield (
        "**Prediction sets** with `coverage: auto`. The interval is that of the card, widened for the number of "
        "held-out images:"
    )
    yield page.sets_table([sets for _, sets in pairs])
    yield "**Referral** with `refer: 5%`:"
    yield page.referral_table([referral for referral in referrals if referral is not None])
    yield (
        "**Out-of-distribution detection** at two false positive rates, with half of the pool as calibration images. "
        "`right` is the share of changed images that the network still predicts correctly:"
    )
    yield page.detection_table(detections)


def _images(folder: Path) -> list[bytes]:
    """Return the images of a folder, encoded."""
    listed = list_images(folder).images
    if not listed:
        raise ValueError(f"--foreign {folder} has no images: give a folder of {', '.join(SUFFIXES)} files")
    return [(folder / name).read_bytes() for name in listed]


def _shown(arguments: argparse.Namespace) -> str:
    """Return the command, with the names of folders: their paths are of no use to readers."""
    words = ["python -m benchmarks.uncertainty", *(f"--data {networks.name_of(source)}" for source in arguments.data)]
    if arguments.foreign:
        words.append(f"--foreign {arguments.foreign.resolve().name}")
    if arguments.networks != NETWORKS:
        words.append(f"--networks {arguments.networks}")
    return " ".join(words)


if __name__ == "__main__":
    main()
