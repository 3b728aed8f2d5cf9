"""Golden answers: a few images that travel with the model, and what it must answer for them on any machine.

`golden/` holds the images and `answers.json`. They are written when the model is trained, checked when it is archived,
and checked again by every worker before it takes its first request.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import torch

from handlers.classifier import Classifier
from models.release import GOLDEN

ANSWERS = "answers.json"
# Absolute, on each probability. Another CPU, thread count or a GPU moves float32 answers by far less than this; a
# wrong resize, normalisation or weight moves them by far more.
TOLERANCE = 0.002


class GoldenError(ValueError):
    """The model does not answer its golden images as it did when it was trained; the message names image and values."""


def write(folder: Path, classifier: Classifier, contents: dict[str, bytes]) -> None:
    """Write the images (by file name) and the classifier's answers into `folder`/golden."""
    target = folder / GOLDEN
    target.mkdir()
    for name, content in contents.items():
        (target / name).write_bytes(content)
    found = classifier.logits(list(contents.values())).softmax(dim=1).tolist()
    answers = dict(zip(contents, found, strict=True))
    document = {"tolerance": TOLERANCE, "probabilities": answers}
    (target / ANSWERS).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def check(folder: Path, classifier: Classifier) -> int:
    """Answer the golden images of `folder` again and compare; returns how many there are.

    Raises:
        GoldenError: they are missing, or an answer is another class or beyond the tolerance.
    """
    path = folder / GOLDEN / ANSWERS
    try:
        document = orjson.loads(path.read_bytes())
        tolerance: float = document["tolerance"]
        expected: dict[str, list[float]] = document["probabilities"]
        contents = [(folder / GOLDEN / name).read_bytes() for name in expected]
    except (OSError, orjson.JSONDecodeError, KeyError) as error:
        raise GoldenError(f"{path}: cannot be read: {error}; archive the release again") from None
    if not expected:
        raise GoldenError(f"{path}: holds no golden answer; archive the release again")
    answers = classifier.logits(contents).softmax(dim=1).cpu()
    for (name, wanted), found in zip(expected.items(), answers, strict=True):
        _compare(name, torch.tensor(wanted), found, tolerance, classifier.card.classes)
    return len(expected)


def _compare(name: str, wanted: torch.Tensor, found: torch.Tensor, tolerance: float, classes: tuple[str, ...]) -> None:
    if wanted.shape != found.shape:
        raise GoldenError(f"golden image {name}: {len(found)} classes answered, {len(wanted)} expected")
    off = (wanted - found).abs()
    worst = int(off.argmax())
    # A tie within the tolerance may fall either way; any other change of class is also beyond the tolerance.
    if not bool((off <= tolerance).all()):
        raise GoldenError(
            f"golden image {name}: class {classes[worst]!r} has probability {float(found[worst]):.4f}, expected "
            f"{float(wanted[worst]):.4f} within {tolerance}; this model does not compute here what it was trained to"
        )
