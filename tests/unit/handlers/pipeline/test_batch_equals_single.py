"""A request gets the same response in any batch as it gets alone."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.classifier import Classifier
from handlers.explain.registry import METHODS
from handlers.protocols import Response
from handlers.request import Kind, Part, RawRequest
from tests.support.same_answer import first_difference
from tests.unit.handlers.asking import respond
from training.data import Dataset

IMAGES = 12


def jpeg(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").resize((1100, 700)).save(buffer, "JPEG")
    return buffer.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda content: content,
    "jpeg": jpeg,
    "cut": lambda content: content[: len(content) * 2 // 3],
    "flipped": lambda content: content[:-30] + bytes([content[-30] ^ 255]) + content[-29:],
    "text": lambda content: b"text",
    "empty": lambda content: b"",
}
# Options of explanations: each method, and settings that are computed separately in a batch.
WAYS: list[dict[str, str]] = [
    {},
    *({"method": name} for name in METHODS if name != "kernelshap"),
    {"method": "kernelshap", "steps": "64"},
    {"method": "ixg", "smoothgrad_samples": "4", "sign": "positive", "alpha": "0.5"},
    {"steps": "5", "baseline": "noise", "colormap": "vik", "resolution": "model"},
    {"contrast": "3,8", "neighbors": "0"},
    {"method": "gradcam", "faithfulness": "true", "counterfactual": "true"},
    {"method": "ixg", "steps": "3"},
    {"method": "gradcam", "contrast": "1,1"},
]
Sent = list[tuple[int, str]]  # numbers of images, each with its change (a key of DAMAGES)


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, Kind, Sent, dict[str, str]]:
    """Draw a request: its form, kind, images and options. Some requests are wrong in one way."""
    form = draw(st.sampled_from(["raw", "multipart", "json", "v1", "v2", "npy"]))
    kind: Kind = draw(st.sampled_from(["predict", "explain"]))
    damage = st.sampled_from(["none"] * 5 + list(DAMAGES))
    most = 1 if form in ("raw", "json") else 3
    images = draw(st.lists(st.tuples(st.integers(0, IMAGES - 1), damage), min_size=1, max_size=most))
    options = {}
    if draw(st.booleans()):
        options["top_k"] = draw(st.sampled_from(["1", "3", "10", "99", "0"]))
    if kind == "explain" and draw(st.booleans()):
        options["target"] = draw(st.sampled_from([*"0123456789", "ten"]))
    if kind == "explain":
        options |= draw(st.sampled_from(WAYS))
    return form, kind, images, options


def incoming(ask: tuple[str, Kind, Sent, dict[str, str]], files: Sequence[bytes], place: int) -> RawRequest:
    form, kind, images, options = ask
    contents = [DAMAGES[damage](files[number]) for number, damage in images]
    encoded = [base64.b64encode(content).decode("ascii") for content in contents]
    headers = {"x-torchlight-query": "&".join(f"{name}={value}" for name, value in options.items())}
    parts: list[Part]
    if form == "raw":
        parts = [Part("body", contents[0])]
    elif form == "multipart":
        parts = [Part(f"image#{number}", content, "image/png") for number, content in enumerate(contents)]
    elif form == "npy":
        parts = [Part("body", npy(images, files), "application/x-npy")]
    else:
        document: dict[str, Any] = {"image": encoded[0]}
        if form == "v1":
            document = {"instances": [{"b64": text} for text in encoded]}
        if form == "v2":
            document = {"inputs": [{"name": "x", "shape": [len(encoded)], "datatype": "BYTES", "data": encoded}]}
        headers |= {"x-torchlight-route": form} if form in ("v1", "v2") else {}
        parts = [Part("body", json.dumps(document).encode(), "application/json")]
    return RawRequest(kind, tuple(parts), headers, request_id=f"r-{place}")


def npy(images: Sent, files: Sequence[bytes]) -> bytes:
    """The digits in one array, cut short where the first image is to be damaged."""
    pictures = [Image.open(io.BytesIO(files[number])).convert("RGB") for number, _ in images]
    buffer = io.BytesIO()
    np.save(buffer, np.stack([np.asarray(picture) for picture in pictures]))
    return buffer.getvalue() if images[0][1] in ("none", "jpeg") else buffer.getvalue()[:-1]


def assert_same_answer(one: Response, other: Response) -> None:
    assert (one.status, one.headers) == (other.status, other.headers)
    if one.body != other.body:
        assert first_difference(json.loads(one.body), json.loads(other.body)) is None
    assert (one.metrics.kind, one.metrics.error) == (other.metrics.kind, other.metrics.error)
    assert [label for label, _ in one.metrics.predictions] == [label for label, _ in other.metrics.predictions]
    assert one.metrics.decisions == other.metrics.decisions


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(batch=st.lists(asked(), min_size=1, max_size=8))
def test_a_batch_answers_each_request_as_if_it_were_alone(
    has_uncertainty: Classifier, digits: Dataset, batch: list[tuple[str, Kind, Sent, dict[str, str]]]
) -> None:
    requests = [incoming(ask, digits.test.images[:IMAGES], place) for place, ask in enumerate(batch)]
    for answer, alone in zip(
        respond(has_uncertainty, requests), (respond(has_uncertainty, [r]) for r in requests), strict=True
    ):
        assert answer.status in (200, 400, 413, 415, 422)
        assert_same_answer(answer, alone[0])
