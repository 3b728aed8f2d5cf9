"""Train a model and write a release: releases/<model>/<version>/."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.release import Release, next_version
from scripts.command import command
from training.data import DATASETS, folder
from training.loop import Settings
from training.release import train

# Findings about a folder that are printed; thousands of them would say no more.
SHOWN = 20


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and train."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m scripts.train", description=__doc__)
    parser.add_argument(
        "--data",
        default="digits",
        help=f"{', '.join(sorted(DATASETS))}, or a folder with a sub-folder of images for each class, which may stand "
        "below train/, test/ and val/ (default: digits)",
    )
    parser.add_argument("--model", help="name of the model (default: that of the data set, or of the folder)")
    parser.add_argument(
        "--image-size", type=int, default=24, help="pixels of a side, as the network sees it (default: 24)"
    )
    parser.add_argument("--version", help="version to write, such as 2.0 (default: the one after the newest)")
    parser.add_argument("--epochs", type=int, default=defaults.epochs, help="passes over the training split")
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size, help="images in one step")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate, help="step size of SGD")
    parser.add_argument("--momentum", type=float, default=defaults.momentum, help="momentum of SGD")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the weights and the order of images")
    arguments = parser.parse_args(argv)
    model = arguments.model or Path(arguments.data).resolve().name
    settings = Settings(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        momentum=arguments.momentum,
        seed=arguments.seed,
    )
    version = arguments.version or next_version(model)
    run(model, version, data=arguments.data, settings=settings, image_size=arguments.image_size)


def run(
    model: str, version: str, *, data: str = "digits", settings: Settings | None = None, image_size: int = 24
) -> Release:
    """Train and say what came of it. `data` is the name of a data set, or a folder."""
    if data in DATASETS:
        dataset = DATASETS[data]()
    else:
        dataset, findings = folder.load(Path(data))
        for sentence in findings[:SHOWN]:
            print(sentence)
        if len(findings) > SHOWN:
            print(f"and {len(findings) - SHOWN} more findings like these")
    splits = f"{len(dataset.train)} / {len(dataset.calibration)} / {len(dataset.test)}"
    print(f"training {model} {version} on {dataset.name}: {splits} images (train / calibration / test)")
    release = train(dataset, model, version, settings or Settings(), image_size=image_size)
    metrics = release.card.metrics
    print(
        f"{release.folder}: {metrics.accuracy:.2%} right on {metrics.test_images} test images, "
        f"{metrics.train_cpu_seconds} CPU seconds of training"
    )
    return release


if __name__ == "__main__":
    main()
