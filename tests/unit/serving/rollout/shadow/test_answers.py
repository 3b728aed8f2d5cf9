"""Answers in every protocol, as the handler's own encoders write them, read the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.decision import Uncertainty
from handlers.protocols import Result
from handlers.protocols.native import NativeEncoder
from handlers.protocols.v1 import V1Encoder
from handlers.protocols.v2 import OUTPUTS, UNCERTAINTY_OUTPUTS, V2Encoder
from models.card import Card
from serving.rollout.shadow.answers import ImageAnswer, UnreadableAnswer, parse

CERTAIN = ImageAnswer({"three": 0.75, "eight": 0.25}, ("three", "eight"), 0.5, "accept")
FOREIGN = ImageAnswer({"one": 0.5, "two": 0.25}, ("one",), 2.5, "refer", "out_of_distribution", "content")
BINARY = dict.fromkeys((*OUTPUTS, *UNCERTAINTY_OUTPUTS), True)


def result(image: ImageAnswer) -> Result:
    predictions = [
        {"label": label, "index": index, "probability": probability}
        for index, (label, probability) in enumerate(image.probabilities.items())
    ]
    assert image.set is not None
    assert image.ood_score is not None
    reason: Any = image.reason
    detail: Any = image.reason_detail
    return Result(predictions, Uncertainty(list(image.set), image.ood_score, 1.0, "mahalanobis", reason, detail))


@pytest.mark.parametrize(
    "encoder",
    [
        NativeEncoder(),
        V1Encoder("predict"),
        V2Encoder("", dict.fromkeys(BINARY, False)),
        V2Encoder("", BINARY),
        V2Encoder("", BINARY | {"label": False, "ood_score": False}),
    ],
)
@pytest.mark.parametrize("images", [[CERTAIN], [CERTAIN, FOREIGN]])
def test_answers_of_all_protocols_read_the_same(card: Card, encoder: Any, images: list[ImageAnswer]) -> None:
    response = encoder.encode(card, "id", [result(image) for image in images])
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert parse(headers, response.body) == images


def test_keys_of_instances_are_left_out(card: Card) -> None:
    response = V1Encoder("predict", ("a", 2)).encode(card, "id", [result(CERTAIN), result(FOREIGN)])
    assert parse({}, response.body) == [CERTAIN, FOREIGN]


def test_a_model_without_uncertainty_answers_labels_alone(card: Card) -> None:
    response = NativeEncoder().encode(card, "id", [Result([{"label": "three", "index": 3, "probability": 0.5}])])
    (image,) = parse({}, response.body)
    assert image == ImageAnswer({"three": 0.5})
    assert (image.label, image.confidence) == ("three", 0.5)


def test_outputs_that_a_request_leaves_out_are_unknown(card: Card) -> None:
    response = V2Encoder("", {"label": False, "decision": False}).encode(card, "id", [result(FOREIGN)])
    (image,) = parse({}, response.body)
    assert image == ImageAnswer({"one": None, "two": None}, decision="refer")
    response = V2Encoder("", {"index": True}).encode(card, "id", [result(FOREIGN)])
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert parse(headers, response.body)[0].label == "class 0"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"text",
        b"{}",
        b'{"predictions": []}',
        b"[" * 100_000,
        b'{"predictions": [{"label": "three"}]}',
        b'{"results": []}',
        json.dumps({"outputs": [{"name": "probability", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}).encode(),
    ],
)
def test_other_forms_are_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match="form of no protocol"):
        parse({}, body)
