"""Answers: their shapes."""

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any, get_args

import numpy as np
import pytest
import requests
from PIL import Image

from handlers.uncertainty.ood import Detail
from models.card import Card, UncertaintyCard
from tests.integration.contract import Ask, ok, row

JUDGED = ["set", "ood", "decision", "reason", "reason_detail"]
WHY = {
    "predictions",
    *JUDGED,
    "method",
    "target",
    "steps",
    "baseline",
    "target_logit",
    "baseline_logit",
    "completeness",
    "regions",
    "neighbors",
    "warnings",
    "milliseconds",
    "overlay_png",
    "heatmap_png",
}
OUTPUTS = ["label", "index", "probability"]
UNCERTAINTY_OUTPUTS = ["set", "ood_score", "decision", "reason", "reason_detail"]


def assert_classes(found: list[dict[str, Any]], label: str, *raw: str) -> None:
    assert all(set(one) == {"label", "index", "probability", *raw} for one in found)
    probabilities = [one["probability"] for one in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(0 <= probability <= 1 for probability in probabilities)
    assert (found[0]["label"], found[0]["index"]) == (label, int(label))


def assert_judged(found: dict[str, Any]) -> None:
    assert found["set"] == [one["label"] for one in found["predictions"]][: len(found["set"])] != []
    assert list(found["ood"]) == ["score", "threshold", "method"]
    assert (found["decision"], found["reason"], found["reason_detail"]) in {
        ("accept", None, None),
        *(("refer", reason, None) for reason in ("ambiguous", "unsure")),
        *(("refer", "out_of_distribution", detail) for detail in get_args(Detail)),
    }


def assert_why(found: dict[str, Any], label: str) -> None:
    assert set(found) == WHY
    assert_classes(found["predictions"], label, "raw_probability")
    assert_judged(found)
    assert found["target"] == {**found["predictions"][0], "source": "predicted"}
    assert found["completeness"]["ok"] is True
    assert abs(found["completeness"]["delta"]) < 1
    assert Image.open(io.BytesIO(base64.b64decode(found["overlay_png"]))).format == "PNG"


@row("answer-one")
def answer_one(ask: Ask) -> None:
    body = ok(ask.post("/predictions/digits", ask.digit["6"]))
    assert list(body) == ["model", "version", "request_id", "predictions", *JUDGED]
    assert (body["model"], body["version"]) == ("digits", "1.0")
    assert_classes(body["predictions"], "6")
    assert_judged(body)


@row("answer-many")
def answer_many(ask: Ask) -> None:
    body = ok(ask.post("/predictions/digits", files=[("a", ask.digit[label]) for label in "6017"]))
    assert list(body) == ["model", "version", "request_id", "results"]
    for result, label in zip(body["results"], "6017", strict=True):
        assert list(result) == ["predictions", *JUDGED]
        assert_classes(result["predictions"], label)
        assert_judged(result)


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
        assert list(found) == ["predictions", *JUDGED]
        assert_classes(found["predictions"], label)
        assert_judged(found)


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
        ("set", "BYTES", [2]),
        ("ood_score", "FP32", [2]),
        ("decision", "BYTES", [2]),
        ("reason", "BYTES", [2]),
        ("reason_detail", "BYTES", [2]),
    ]
    rows = list(zip(*(one["data"] for one in body["outputs"][:3]), strict=True))
    for start, label in ((0, "6"), (3, "0")):
        assert_classes([dict(zip(OUTPUTS, one, strict=True)) for one in rows[start : start + 3]], label)


@row("answer-v2-why")
def answer_v2_why(ask: Ask) -> None:
    body = ok(ask.post("/v2/models/digits/explain", json=ask.v2("6", "0")))
    assert [one["name"] for one in body["outputs"]] == [*OUTPUTS, *UNCERTAINTY_OUTPUTS, "explanation"]
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
    assert [one["parameters"]["binary_data_size"] for one in head["outputs"]][:3] == [10, 16, 8]
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


# ---- uncertainty: the values of the card of `digits`


def uncertainty(ask: Ask) -> UncertaintyCard:
    section = Card.load(ask.server.workspace / "releases" / "digits" / "1.0").uncertainty
    assert section is not None
    return section


def board() -> bytes:
    """Return a checkerboard, which is not a digit."""
    buffer = io.BytesIO()
    Image.fromarray(np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.full((3, 3), 255)).astype(np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


@row("answer-probability")
def answer_probability(ask: Ask) -> None:
    """The odds of the two best classes are those of their logits over the card's temperature."""
    answers = {label: ok(ask.post("/predictions/digits?top_k=10", image)) for label, image in ask.digit.items()}
    for body in answers.values():
        assert sum(one["probability"] for one in body["predictions"]) == pytest.approx(1, abs=1e-5)
    least = min(answers, key=lambda label: answers[label]["predictions"][0]["probability"])
    first, second = answers[least]["predictions"][:2]
    logits = [
        ok(ask.post(f"/explanations/digits?target={one['label']}", ask.digit[least]))["target_logit"]
        for one in (first, second)
    ]
    odds = math.log(first["probability"] / second["probability"])
    assert odds == pytest.approx((logits[0] - logits[1]) / uncertainty(ask).temperature, rel=1e-3)


@row("answer-set")
def answer_set(ask: Ask) -> None:
    """The most probable class, and each other whose probability is not too far from 1."""
    conformal = uncertainty(ask).conformal
    assert conformal is not None
    assert conformal.method == "lac"
    (threshold,) = conformal.thresholds
    for label in "0123456789":
        body = ok(ask.post("/predictions/digits?top_k=10", ask.digit[label]))
        first, *others = body["predictions"]
        assert body["set"] == [first["label"], *(one["label"] for one in others if 1 - one["probability"] <= threshold)]


def judged(ask: Ask) -> list[dict[str, Any]]:
    """The answers for the samples, and for a checkerboard."""
    return [ok(ask.post("/predictions/digits", image)) for image in (*ask.digit.values(), board())]


@row("answer-ood")
def answer_ood(ask: Ask) -> None:
    ood = uncertainty(ask).ood
    *digits, other = (body["ood"] for body in judged(ask))
    assert {(one["threshold"], one["method"]) for one in (*digits, other)} == {(ood.threshold, ood.score)}
    assert sum(one["score"] <= ood.threshold for one in digits) >= 7, (
        "samples are enlarged, so some may be out of distribution"
    )
    assert other["score"] > ood.threshold


@row("answer-decision", "answer-reason", "answer-reason-detail")
def answer_decision(ask: Ask) -> None:
    policy = uncertainty(ask).policy
    found = []
    for body in judged(ask):
        reason = None
        if body["predictions"][0]["probability"] < policy.min_probability:
            reason = "unsure"
        if policy.max_set_size is not None and len(body["set"]) > policy.max_set_size:
            reason = "ambiguous"
        if policy.out_of_distribution and body["ood"]["score"] > body["ood"]["threshold"]:
            reason = "out_of_distribution"
        assert (body["decision"], body["reason"]) == ("refer" if reason else "accept", reason)
        assert (body["reason_detail"] is None) == (reason != "out_of_distribution")
        found.append(reason)
    assert found[-1] == "out_of_distribution"
    assert judged(ask)[-1]["reason_detail"] in ("sharpness", "content"), "a checkerboard is no digit"
    assert found.count(None) >= 5
