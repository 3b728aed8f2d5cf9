"""Cost of a prediction, held without a clock."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch

import handlers
from handlers.classifier import Classifier
from handlers.engines.eager import Eager
from handlers.modalities.image import images
from models.architectures import Network
from models.card import Conformal, OutOfDistribution, UncertaintyCard
from tests.support.scales import UNSCALED
from tests.unit.handlers.asking import request, respond
from tests.unit.training.colors import card
from training.data import Dataset

HANDLERS = str(Path(handlers.__file__).parent)


class Sure(Network):
    """Return a network of so many classes that is sure of the first."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :1]

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(embeddings), self.classes)
        logits[:, 0] = 50.0
        return logits


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Sequence[bytes]:
    return digits.test.images[:8]


def sure(classes: int) -> Classifier:
    uncertainty = UncertaintyCard(
        conformal=Conformal(method="raps", coverage=0.9, thresholds=(0.9,), penalty=0.01),
        ood=OutOfDistribution(score="energy", scale=UNSCALED, threshold=0, false_positive_rate=0.05),
    )
    about = card(tuple(f"class {number}" for number in range(classes)), uncertainty)
    return Classifier(about, Eager(Sure(classes), about.input, torch.device("cpu")))


def lines(work: Callable[[], Any]) -> Counter[str]:
    """Count the lines of handlers/ that run, by file; each turn of a loop or comprehension counts."""
    counted: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(HANDLERS):
            return None
        if event == "line":
            counted[Path(frame.f_code.co_filename).name] += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return counted


def test_a_thousand_classes_cost_no_more_python_than_ten(some: Sequence[bytes]) -> None:
    found = []
    for classes in (10, 1000):
        classifier = sure(classes)
        batch = [request(content) for content in some[:4]]
        respond(classifier, batch)
        found.append(lines(lambda: respond(classifier, batch)))  # noqa: B023
    assert found[0] == found[1]
    assert found[0].total() > 100, "the lines are counted at all"


def test_an_image_is_decoded_once_and_goes_through_the_network_once(
    classifier: Classifier, some: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, rows = [], []
    load, run = images.load, classifier.engine.run
    monkeypatch.setattr(images, "load", lambda *arguments: decoded.append(1) or load(*arguments))
    monkeypatch.setattr(classifier.engine, "run", lambda pixels: rows.append(len(pixels)) or run(pixels))
    respond(classifier, [request(content) for content in some[:5]] + [request(some[5], kind="explain")])
    assert len(decoded) == 6
    assert rows == [6], "one pass for all of a batch, explanations too"
