"""Golden answers from a classifier in this process: written after training, checked before serving."""

from __future__ import annotations

from pathlib import Path

from handlers.errors import RequestError
from handlers.pipeline import Classifier
from models.golden import FOLDER, Golden, GoldenError, answers_of, tolerance_of


def write(folder: Path, classifier: Classifier, contents: dict[str, bytes]) -> None:
    """Write the images (by file name) and the answers of the classifier's engine into `folder`/golden."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / FOLDER / name).write_bytes(content)
    found = classifier.probabilities(list(contents.values())).tolist()
    golden = Golden(tolerance_of(classifier.engine.name), dict(zip(contents, found, strict=True)))
    (folder / answers_of(classifier.engine.name)).write_bytes(golden.to_json())


def check(folder: Path, classifier: Classifier) -> int:
    """Answer the golden images of `folder` again and compare with those of the same engine; returns how many there are.

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
            found = classifier.probabilities([content])[0].tolist()
        except RequestError as error:
            raise GoldenError(f"golden image {name}: {error}; archive the release again") from None
        golden.check(name, found, classifier.card.classes)
    return len(contents)
