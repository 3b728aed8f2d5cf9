from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from PIL import Image

from tests.fuzz.checks import difference, error_shape_problem
from tests.fuzz.connection import RawResponse
from tests.fuzz.corpus.request import REFUSED, FuzzRequest
from tests.fuzz.corpus.valid_images import encode

ERROR = {"code": 400, "type": "BadJSON", "message": "the body is not JSON: it is empty"}


def response(body: Any, status: int = 400, media_type: str = "application/json") -> RawResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawResponse(status, {"content-type": media_type}, content, 0.1)


def request_to(path: str = "/predictions/digits") -> FuzzRequest:
    return FuzzRequest("case", path, (), b"bad", REFUSED, family="family", seed=1, number=2)


def test_error_of_the_documented_shape_has_no_problem() -> None:
    assert error_shape_problem(request_to(), response(ERROR)) is None
    v1 = response({**ERROR, "error": ERROR["message"]})
    assert error_shape_problem(request_to("/v1/models/digits:predict"), v1) is None
    assert error_shape_problem(request_to("/v1/nothing"), response(ERROR)) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (response(b"<html>"), "without JSON"),
        (response([]), "not an object"),
        (response({"code": 400}), "members"),
        (response({**ERROR, "trace": ""}), "members"),
        (response({**ERROR, "code": 500}), "code 500"),
        (response({**ERROR, "error": "another"}), "not its message"),
        (response({**ERROR, "type": "<b>"}), "type"),
        (response({**ERROR, "message": ""}), "message of 0"),
        (response({**ERROR, "message": "m" * 5_000}), "message of 5000"),
        (response(ERROR, media_type="text/html"), "text/html"),
    ],
)
def test_error_of_another_shape_is_a_problem(error: RawResponse, words: str) -> None:
    assert words in str(error_shape_problem(request_to(), error))


def test_error_of_a_protocol_needs_the_member_error() -> None:
    assert "members" in str(error_shape_problem(request_to("/v2/models/digits/infer"), response(ERROR)))


def explanation(probability: float, target_logit: float, gray: int) -> RawResponse:
    overlay = base64.b64encode(encode(Image.new("RGB", (4, 4), (gray, 0, 0)), "PNG")).decode()
    result = {
        "predictions": [{"probability": probability}],
        "target_logit": target_logit,
        "overlay_png": overlay,
        "milliseconds": target_logit,
    }
    return response({"request_id": str(gray), "results": [result]}, 200)


def test_good_response_is_compared_in_every_member() -> None:
    reference = explanation(0.854196, 31.89728, 9)
    assert difference(reference, reference) is None
    changed = explanation(0.854199, 31.89728, 9)
    assert "results.predictions.probability: 0.854196 expected" in str(difference(reference, changed))
    assert "differs from the reference" in str(difference(reference, response({"results": []}, 200)))


def test_sums_of_an_explanation_may_differ_by_the_rounding_of_a_batch() -> None:
    reference = explanation(0.854196, 31.89728, 9)
    assert difference(reference, explanation(0.854196, 31.897282, 12)) is None
    assert "results.target_logit" in str(difference(reference, explanation(0.854196, 31.9, 9)))
    assert "results.overlay_png" in str(difference(reference, explanation(0.854196, 31.89728, 19)))


@pytest.mark.parametrize(
    ("expected", "actual", "equal"),
    [
        ({"probability": 0.099719}, {"probability": 0.099721}, True),
        ({"probability": 0.099719}, {"probability": 0.099723}, False),
        ({"ood": {"score": 108.9}}, {"ood": {"score": 109.0}}, True),
        ({"ood": {"score": 108.9}}, {"ood": {"score": 109.3}}, False),
        ({"set": ["3"]}, {"set": ["3", "8"]}, False),
        ({"decision": "accept"}, {"decision": "refer"}, False),
        ({"label": "3"}, {"label": "8"}, False),
        ({"target_logit": 7.12344}, {"target_logit": 7.12349}, True),
    ],
)
def test_numbers_may_differ_only_in_their_last_digits(
    expected: dict[str, object], actual: dict[str, object], equal: bool
) -> None:
    assert (difference(response(expected, 200), response(actual, 200)) is None) == equal
