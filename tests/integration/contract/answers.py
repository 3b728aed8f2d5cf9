"""Answers: their shapes."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import requests
from PIL import Image

from tests.integration.contract import Ask, ok, row

WHY = {
    "predictions",
    "method",
    "target",
    "steps",
    "baseline",
    "f_x",
    "f_baseline",
    "completeness",
    "overlay_png",
}
OUTPUTS = ["label", "index", "probability"]


def assert_classes(found: list[dict[str, Any]], label: str) -> None:
    assert all(set(one) == {"label", "index", "probability"} for one in found)
    probabilities = [one["probability"] for one in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert (found[0]["label"], found[0]["index"]) == (label, int(label))


def assert_why(found: dict[str, Any], label: str) -> None:
    assert set(found) == WHY
    assert_classes(found["predictions"], label)
    assert found["target"] == {"label": label, "index": int(label), "why": "predicted"}
    assert found["completeness"]["ok"] is True
    assert abs(found["completeness"]["delta"]) < 1
    assert Image.open(io.BytesIO(base64.b64decode(found["overlay_png"]))).format == "PNG"


@row("answer-one")
def answer_one(ask: Ask) -> None:
    body = ok(ask.post("/predictions/digits", ask.digit["6"]))
    assert list(body) == ["model", "version", "request_id", "predictions"]
    assert (body["model"], body["version"]) == ("digits", "1.0")
    assert_classes(body["predictions"], "6")


@row("answer-many")
def answer_many(ask: Ask) -> None:
    body = ok(ask.post("/predictions/digits", files=[("a", ask.digit[label]) for label in "6017"]))
    assert list(body) == ["model", "version", "request_id", "results"]
    for result, label in zip(body["results"], "6017", strict=True):
        assert list(result) == ["predictions"]
        assert_classes(result["predictions"], label)


@row("answer-why")
def answer_why(ask: Ask) -> None:
    body = ok(ask.post("/explanations/digits", ask.digit["6"]))
    assert set(body) == {"model", "version", "request_id", *WHY}
    assert_why({name: body[name] for name in WHY}, "6")
    body = ok(ask.post("/explanations/digits", files=[("a", ask.digit[label]) for label in "60"]))
    for result, label in zip(body["results"], "60", strict=True):
        assert_why(result, label)


@row("answer-overlay")
def answer_overlay(ask: Ask) -> None:
    answer = ask.post("/explanations/digits", ask.digit["6"], headers={"Accept": "image/png"})
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Model-Version"] == "1.0"
    whole = ok(ask.post("/explanations/digits", ask.digit["6"]))
    assert answer.content == base64.b64decode(whole["overlay_png"])


@row("answer-map")
def answer_map(ask: Ask) -> None:
    headers = {"Accept": "application/x-npy"}
    one = np.load(io.BytesIO(ask.post("/explanations/digits", ask.digit["6"], headers=headers).content))
    files = [("a", ask.digit["6"]), ("b", ask.digit["0"])]
    both = np.load(io.BytesIO(ask.post("/explanations/digits", files=files, headers=headers).content))
    assert (one.dtype, one.ndim, both.shape) == (np.float16, 2, (2, *one.shape))
    assert one.min() < 0 < one.max()
    assert np.allclose(both[0], one, atol=1e-2)


@row("answer-v1")
def answer_v1(ask: Ask) -> None:
    body = ok(ask.post("/v1/models/digits:predict", json={"instances": [ask.b64("6"), ask.b64("0")]}))
    assert list(body) == ["predictions"]
    for found, label in zip(body["predictions"], "60", strict=True):
        assert_classes(found, label)


@row("answer-v1-why")
def answer_v1_why(ask: Ask) -> None:
    body = ok(ask.post("/v1/models/digits:explain", json={"instances": [ask.b64("6"), ask.b64("0")]}))
    assert list(body) == ["explanations"]
    for found, label in zip(body["explanations"], "60", strict=True):
        assert_why(found, label)


@row("answer-v2")
def answer_v2(ask: Ask) -> None:
    body = ok(ask.post("/v2/models/digits/infer", json=ask.v2("6", "0", id="42", parameters={"top_k": 3})))
    assert list(body) == ["model_name", "model_version", "id", "outputs"]
    assert (body["model_name"], body["model_version"], body["id"]) == ("digits", "1.0", "42")
    assert [(one["name"], one["datatype"], one["shape"]) for one in body["outputs"]] == [
        ("label", "BYTES", [2, 3]),
        ("index", "INT64", [2, 3]),
        ("probability", "FP32", [2, 3]),
    ]
    rows = list(zip(*(one["data"] for one in body["outputs"]), strict=True))
    for start, label in ((0, "6"), (3, "0")):
        assert_classes([dict(zip(OUTPUTS, one, strict=True)) for one in rows[start : start + 3]], label)


@row("answer-v2-why")
def answer_v2_why(ask: Ask) -> None:
    body = ok(ask.post("/v2/models/digits/explain", json=ask.v2("6", "0")))
    assert [one["name"] for one in body["outputs"]] == [*OUTPUTS, "explanation"]
    explanation = body["outputs"][-1]
    assert (explanation["datatype"], explanation["shape"]) == ("BYTES", [2])
    for text, label in zip(explanation["data"], "60", strict=True):
        assert_why(json.loads(text), label)


@row("answer-v2-outputs")
def answer_v2_outputs(ask: Ask) -> None:
    wanted = [{"name": "probability"}, {"name": "label"}]
    body = ok(ask.post("/v2/models/digits/infer", json=ask.v2("6", outputs=wanted)))
    assert [one["name"] for one in body["outputs"]] == ["probability", "label"]


@row("answer-v2-binary")
def answer_v2_binary(ask: Ask) -> None:
    everything = ask.v2("6", parameters={"binary_data_output": True, "top_k": 2})
    head, data = parted(ask.post("/v2/models/digits/infer", json=everything))
    assert [one["parameters"]["binary_data_size"] for one in head["outputs"]] == [10, 16, 8]
    assert data[:5] == b"\x01\0\0\x006"
    assert np.frombuffer(data[10:26], "<i8")[0] == 6
    some = ask.v2("6", outputs=[{"name": "label"}, {"name": "index", "parameters": {"binary_data": True}}])
    head, data = parted(ask.post("/v2/models/digits/infer", json=some))
    assert head["outputs"][0]["data"][0] == "6"
    assert np.frombuffer(data, "<i8")[0] == 6


def parted(answer: requests.Response) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary data of an answer."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/octet-stream")
    length = int(answer.headers["Inference-Header-Content-Length"])
    return json.loads(answer.content[:length]), answer.content[length:]
