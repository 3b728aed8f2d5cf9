from __future__ import annotations

import json

import pytest

from handlers.classifier import Classifier
from handlers.protocols import metadata, v2
from handlers.request import RawRequest
from models.card import Card
from tests.unit.handlers.asking import respond


def question(route: str) -> RawRequest:
    return RawRequest("predict", (), {"x-torchlight-route": route, "x-torchlight-query": "any=thing"}, request_id="r-1")


@pytest.mark.parametrize("route", ["v1-ready", "v2-ready"])
def test_a_worker_that_answers_is_ready(card: Card, route: str) -> None:
    assert metadata.answer(route, card) == {"name": "pets", "ready": True}


def test_the_metadata_are_those_of_the_protocol(card: Card) -> None:
    assert metadata.answer("v2-metadata", card) == v2.metadata(card)


@pytest.mark.parametrize("route", ["", "v1", "v2", "invocations", "other"])
def test_every_other_route_sends_images(route: str) -> None:
    assert not question(route).is_metadata


@pytest.mark.parametrize("route", metadata.ROUTES)
def test_questions_are_answered_without_an_image_and_beside_those_with_one(classifier: Classifier, route: str) -> None:
    assert question(route).is_metadata
    answer, other = respond(classifier, [question(route), RawRequest("predict", (), {})])
    assert (answer.status, other.status) == (200, 400)
    assert json.loads(answer.body) == metadata.answer(route, classifier.card)
    assert answer.headers == {
        "content-type": "application/json",
        "X-Model-Version": "1.0",
        "X-Model-Engine": "eager",
        "X-Request-Id": "r-1",
    }
