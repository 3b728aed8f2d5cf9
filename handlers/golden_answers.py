"""Golden answers of a classifier in this process: written after training, checked before serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from handlers.classifier import Classifier
from handlers.errors import RequestError
from models.golden import FOLDER, Golden, GoldenError, answers_of, tolerance_of


def write(folder: Path, classifier: Classifier, contents: dict[str, bytes]) -> None:
    """Write the images (by file name) and the answers of the classifier's engine into `folder`/golden."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / FOLDER / name).write_bytes(content)
    probabilities = classifier.probabilities(list(contents.values())).tolist()
    golden = Golden(tolerance_of(classifier.engine.name), dict(zip(contents, probabilities, strict=True)))
    (folder / answers_of(classifier.engine.name)).write_bytes(golden.to_json())


def check(folder: Path, classifier: Classifier) -> int:
    """Answer the golden images of `folder` again and compare with the golden answers of the same engine.

    Returns:
        The number of images.

    Raises:
        GoldenError: they are missing, or an answer is another class or beyond the tolerance.
    """
    try:
        golden = Golden.from_json((folder / answers_of(classifier.engine.name)).read_bytes())
        contents = [(folder / FOLDER / name).read_bytes() for name in golden.probabilities]
    except OSError as error:
        raise GoldenError(f"{error.filename}: {error.strerror}; archive the release again") from None
    for name, content in zip(golden.probabilities, contents, strict=True):
        try:
            probabilities = classifier.probabilities([content])[0].tolist()
        except RequestError as error:
            raise GoldenError(f"golden image {name}: {error}; archive the release again") from None
        golden.check(name, probabilities, classifier.card.classes)
    return len(contents)


def load_checked(folder: Path, device: torch.device, engine: str, **settings: Any) -> Classifier:
    """Load a classifier and check its golden answers.

    Args:
        settings: as of Classifier.load.

    Raises:
        CardError, EngineError, UncertaintyError, GoldenError: see Classifier.load and `check`.
    """
    classifier = Classifier.load(folder, device, engine=engine, **settings)
    check(folder, classifier)
    return classifier
