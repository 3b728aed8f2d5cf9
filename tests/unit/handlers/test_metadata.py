from __future__ import annotations

import json

import pytest

from handlers import metadata
from handlers.pipeline import Classifier, sends_images
from handlers.protocols import v2
from handlers.request import Incoming
from models.card import Card


def question(route: str) -> Incoming:
    return Incoming("predict", (), {"x-torchlight-route": route, "x-torchlight-query": "any=thing"}, request_id="r-1")


@pytest.mark.parametrize("route", ["v1-ready", "v2-ready"])
def test_a_worker_that_answers_is_ready(card: Card, route: str) -> None:
    assert metadata.answer(route, card) == {"name": "pets", "ready": True}


def test_the_metadata_are_those_of_the_protocol(card: Card) -> None:
    assert metadata.answer("v2-metadata", card) == v2.metadata(card)


@pytest.mark.parametrize("route", ["", "v1", "v2", "invocations", "other"])
def test_every_other_road_sends_images(route: str) -> None:
    assert sends_images(question(route))


@pytest.mark.parametrize("route", metadata.ROUTES)
def test_questions_are_answered_without_an_image_and_beside_those_with_one(classifier: Classifier, route: str) -> None:
    assert not sends_images(question(route))
    answer, other = classifier.answer([question(route), Incoming("predict", (), {})])
    assert (answer.status, other.status) == (200, 400)
    assert json.loads(answer.body) == metadata.answer(route, classifier.card)
    assert answer.headers == {
        "content-type": "application/json",
        "X-Model-Version": "1.0",
        "X-Model-Engine": "eager",
        "X-Request-Id": "r-1",
    }
