"""Compiled engines without a gate: for benchmarks of speed, whose networks have no accuracy to lose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines.compiled import Program
from handlers.modalities.image import images
from handlers.uncertainty import UncertaintyEstimator
from models.card import Card
from training.compile.install import draft, install
from training.compile.optimizing import golden_images
from training.compile.programs.build import build, device_of


def compile_ungated(folder: Path, pictures: Sequence[bytes], names: Sequence[str]) -> Card:
    """Install compiled engines in the release in `folder` without a gate; `quality` of their entries is None.

    Args:
        pictures: encoded calibration images for int8.
        names: names of engines, see models.card.Compiled, in order of preference.

    Raises:
        CompileError: it cannot be compiled here.
    """
    card = Card.load(folder)
    pixels = images.stack([images.pixels(images.picture(picture, card.input), card.input) for picture in pictures])
    with draft(folder) as prepared:
        entries = []
        for name in names:
            entries.append(build(folder, card, name, pixels, prepared))
            engine = Program.load(prepared, card, entries[-1], device_of(name))
            classifier = Classifier(
                card, engine, estimator=UncertaintyEstimator.load(folder, card, engine), folder=folder
            )
            golden_answers.write(prepared, classifier, golden_images(folder))
        return install(folder, prepared, entries)
