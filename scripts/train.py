"""Train a model and write a release: releases/<model>/<version>/."""

from __future__ import annotations

import argparse

from models.release import Release, next_version
from scripts.command import command
from training.data import DATASETS
from training.loop import Settings
from training.release import train


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and train."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m scripts.train", description=__doc__)
    parser.add_argument("--data", default="digits", choices=sorted(DATASETS), help="data set (default: digits)")
    parser.add_argument("--model", help="name of the model (default: that of the data set)")
    parser.add_argument("--version", help="version to write, such as 2.0 (default: the one after the newest)")
    parser.add_argument("--epochs", type=int, default=defaults.epochs, help="passes over the training split")
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size, help="images in one step")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate, help="step size of SGD")
    parser.add_argument("--momentum", type=float, default=defaults.momentum, help="momentum of SGD")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the weights and the order of images")
    arguments = parser.parse_args(argv)
    model = arguments.model or arguments.data
    settings = Settings(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        momentum=arguments.momentum,
        seed=arguments.seed,
    )
    run(model, arguments.version or next_version(model), data=arguments.data, settings=settings)


def run(model: str, version: str, *, data: str = "digits", settings: Settings | None = None) -> Release:
    """Train and say what came of it."""
    dataset = DATASETS[data]()
    splits = f"{len(dataset.train)} / {len(dataset.calibration)} / {len(dataset.test)}"
    print(f"training {model} {version} on {dataset.name}: {splits} images (train / calibration / test)")
    release = train(dataset, model, version, settings or Settings())
    metrics = release.card.metrics
    print(
        f"{release.folder}: {metrics.accuracy:.2%} right on {metrics.test_images} test images, "
        f"{metrics.train_cpu_seconds} CPU seconds of training"
    )
    return release


if __name__ == "__main__":
    main()
