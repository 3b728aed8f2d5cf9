"""A batch has so much time; what cannot begin within it is refused, rather than everybody failed with the worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from handlers import pipeline
from handlers.classifier import Classifier
from handlers.engines.eager import Eager
from handlers.explain.plugin import IMAGES_AT_ONCE, AttributionPlugin
from handlers.explain.rendering import overlay
from handlers.pipeline import PREDICT_IMAGES, Pipeline
from tests.unit.handlers.asking import body, request, unnamed
from tests.unit.handlers.pipeline.test_guarding import Wrapped
from training.data import Dataset


@pytest.fixture
def slow(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Pipeline]:
    """The classifier with a budget, on a clock by which each pass through the network takes ten seconds."""
    now = [0.0]

    def pass_ten_seconds(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        now[0] += 10
        return logits

    monkeypatch.setattr(pipeline.time, "monotonic", lambda: now[0])
    engine = Eager(Wrapped(classifier.engine.network, pass_ten_seconds), classifier.card.input, torch.device("cpu"))

    def make(budget_seconds: float) -> Pipeline:
        model = Classifier(unnamed(classifier.card), engine, estimator=classifier.estimator)
        made = Pipeline(model, AttributionPlugin, budget_seconds)
        _ = made.explanations  # which looks at the network, once
        return made

    return make


def test_requests_that_cannot_begin_in_time_are_told_to_come_again(
    slow: Callable[[float], Pipeline], digits: Dataset
) -> None:
    many = request(*digits.test.images[:PREDICT_IMAGES])
    answers = slow(25).answer([many] * 5)
    assert [answer.status for answer in answers] == [200, 200, 200, 503, 503]
    assert body(answers[3])["type"] == "Overloaded"
    assert "25 s" in body(answers[3])["message"]
    assert slow(25).answer([many])[0].status == 200, "the next batch has its own time"


@pytest.mark.slow
def test_explanations_look_at_the_clock_too_within_one_request_as_well(
    slow: Callable[[float], Pipeline], digits: Dataset
) -> None:
    images = digits.test.images
    sixteen = request(*images[:IMAGES_AT_ONCE], kind="explain")
    batch = [sixteen, sixteen, request(images[1])]
    assert [answer.status for answer in slow(200).answer(batch)] == [200, 503, 200], "predictions came first"
    whole = request(*images[: 3 * IMAGES_AT_ONCE], kind="explain")
    assert slow(200).answer([whole])[0].status == 503
    assert slow(100_000).answer([whole])[0].status == 200


def test_pictures_are_not_drawn_beyond_it(
    classifier: Classifier, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def draw(*_: object) -> bytes:
        now[0] += 10
        return b"a picture"

    monkeypatch.setattr(pipeline.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(overlay, "overlay", draw)
    two, four = (request(*digits.test.images[:count], kind="explain") for count in (2, 4))
    patient = Pipeline(
        Classifier(classifier.card, classifier.engine, estimator=classifier.estimator), AttributionPlugin, 25
    )
    assert [answer.status for answer in patient.answer([two, four])] == [200, 503]
    assert now == [30], "the third picture began at 20, the fourth would have at 30"


def test_images_are_not_decoded_beyond_it(slow: Callable[[float], Pipeline], digits: Dataset) -> None:
    assert slow(-1).answer([request(digits.test.images[0])])[0].status == 503
