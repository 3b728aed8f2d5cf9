"""Comparison of answers: float32 noise is ignored, and every other difference is named."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.same_answer import first_difference

ANSWER = {
    "request_id": "a",
    "predictions": [{"label": "cat", "index": 0, "probability": 0.5}],
    "ood": {"score": 114.9},
    "decision": "accept",
    "set": ["cat"],
}


def changed(**members: Any) -> dict[str, Any]:
    return {**ANSWER, **members}


def png(level: int, dots: int = 0) -> str:
    pixels = np.full((50, 50, 3), level, np.uint8)
    pixels.reshape(-1, 3)[:dots] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "other",
    [
        changed(request_id="b"),
        changed(predictions=[{"label": "cat", "index": 0, "probability": 0.500002}]),
        changed(ood={"score": 115.0}),
    ],
)
def test_float32_noise_and_request_ids_are_no_difference(other: dict[str, Any]) -> None:
    assert first_difference(ANSWER, other) is None


@pytest.mark.parametrize(
    ("other", "where"),
    [
        (
            changed(predictions=[{"label": "cat", "index": 0, "probability": 0.50001}]),
            "predictions.probability: 0.5 exp",
        ),
        (changed(predictions=[{"label": "dog", "index": 0, "probability": 0.5}]), "predictions.label: 'cat' expected"),
        (changed(predictions=[{"label": "cat", "index": False, "probability": 0.5}]), "predictions.index: 0 expected"),
        (changed(predictions=[]), "predictions: [{"),
        (changed(ood={"score": 116.0}), "ood.score: 114.9 expected, 116.0 received"),
        (changed(decision="refer"), "decision: 'accept' expected"),
        (changed(set=["cat", "dog"]), "set: ['cat'] expected"),
        (changed(reason=None), ": {"),
    ],
)
def test_other_differences_are_named(other: dict[str, Any], where: str) -> None:
    difference = first_difference(ANSWER, other)
    assert difference is not None
    assert difference.startswith(where)


def test_v2_tensors_are_compared_by_the_name_of_the_tensor() -> None:
    def outputs(name: str, value: float) -> dict[str, Any]:
        return {"outputs": [{"name": name, "datatype": "FP32", "shape": [1], "data": [value]}]}

    assert first_difference(outputs("probability", 0.5), outputs("probability", 0.500002)) is None
    assert first_difference(outputs("probability", 0.5), outputs("probability", 0.5001)) is not None
    assert first_difference(outputs("ood_score", 100.0), outputs("ood_score", 100.1)) is None
    assert first_difference(outputs("index", 1.0), outputs("index", 1.000001)) is not None


def test_an_explanation_in_a_v2_tensor_is_compared_as_json() -> None:
    texts = [json.dumps({"target_logit": value}) for value in (3.0, 3.00005, 3.1)]
    assert first_difference({"explanation": texts[0]}, {"explanation": texts[1]}) is None
    assert first_difference({"explanation": texts[0]}, {"explanation": texts[2]}) is not None


def test_a_picture_may_differ_by_one_color_step_and_one_digit_of_its_legend() -> None:
    assert first_difference({"overlay_png": png(100)}, {"overlay_png": png(104)}) is None
    assert first_difference({"overlay_png": png(100)}, {"overlay_png": png(100, dots=5)}) is None
    assert first_difference({"overlay_png": png(100)}, {"overlay_png": png(105)}) is not None
    assert first_difference({"overlay_png": png(100)}, {"overlay_png": png(100, dots=6)}) is not None
