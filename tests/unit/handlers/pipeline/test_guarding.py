"""Limits of one request, and isolation of its failures."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.classifier import Classifier
from handlers.engines.eager import Eager
from handlers.explain.rendering import overlay
from handlers.modalities.image import images
from handlers.pipeline import THREADED_BYTES
from handlers.request import Part, RawRequest
from models.architectures import Network
from models.card import Limits
from tests.support.same_answer import first_difference
from tests.unit.handlers.asking import body, labels, pipeline, request, respond, unnamed
from tests.unit.handlers.modalities.image.test_scaled_decode import jpeg, photo
from training.data import Dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def some(digits: Dataset) -> Sequence[bytes]:
    return digits.test.images[:8]


def limited(classifier: Classifier, **limits: int) -> Classifier:
    return Classifier(
        classifier.card, classifier.engine, Limits(**limits), estimator=classifier.estimator, folder=classifier.folder
    )


class Wrapped(Network):
    """A network whose input and output another function sees, and may change."""

    def __init__(self, network: Network, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def embed(self, inputs: torch.Tensor) -> torch.Tensor:
        assert len(inputs) > 0  # which torch.fx cannot trace: it would call the function once, and never again
        self.inputs = inputs
        return self.network.embed(inputs)

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.change(self.inputs, self.network.head(embeddings))


def wrapped(classifier: Classifier, change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Classifier:
    engine = Eager(Wrapped(classifier.engine.network, change), classifier.card.input, CPU)
    return Classifier(unnamed(classifier.card), engine, estimator=classifier.estimator, folder=classifier.folder)


# ---- limits


@pytest.mark.parametrize(
    ("limits", "type_", "words"),
    [
        ({"max_bytes": 100}, "ImageTooLarge", "at most 100 are accepted"),
        ({"max_pixels": 63}, "ImageTooLarge", "the image has 8 x 8 pixels: at most 63 in all"),
        ({"max_images": 1}, "TooManyImages", "2 images: at most 1 go into one request"),
        ({"max_request_pixels": 127}, "ImageTooLarge", "have more than 127 pixels together: send fewer"),
    ],
)
def test_each_limit_is_held_and_fails_its_own_request_alone(
    classifier: Classifier, some: Sequence[bytes], limits: dict[str, int], type_: str, words: str
) -> None:
    strict = limited(classifier, **limits)
    tiny = Part("body", np.zeros((4, 4), np.uint8).tobytes())
    array = b"\x93NUMPY\x01\x00\x3d\x00{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4)}   \n"
    other = RawRequest("predict", (Part("body", array + tiny.content),), {})
    wrong, right = respond(strict, [request(some[0], some[1]), other])
    assert (int(wrong.status), body(wrong)["type"]) == (413, type_)
    assert words in body(wrong)["message"]
    assert right.status == 200, right.body


def test_request_at_its_limits_is_answered(classifier: Classifier, some: Sequence[bytes]) -> None:
    most = max(len(content) for content in some[:2])
    exact = limited(classifier, max_bytes=most, max_pixels=64, max_images=2, max_request_pixels=128)
    (answer,) = respond(exact, [request(some[0], some[1])])
    assert answer.status == 200


def test_pixels_are_counted_as_they_were_sent_not_as_they_are_decoded(classifier: Classifier) -> None:
    content = jpeg(Image.new("RGB", (2048, 2048)))
    (answer,) = respond(limited(classifier, max_request_pixels=2048 * 2048 - 1), [request(content)])
    assert body(answer)["type"] == "ImageTooLarge"


def test_an_answer_that_is_too_large_is_not_sent(classifier: Classifier, some: Sequence[bytes]) -> None:
    strict = limited(classifier, max_answer_bytes=1000)
    batch = [request(some[0], kind="explain"), request(some[1])]
    large, small = respond(strict, batch)
    assert (int(large.status), body(large)["type"], small.status) == (413, "ResponseTooLarge", 200)
    assert body(large)["message"].endswith("1,000 may be sent: ask less at once")
    assert large.headers["content-type"] == "application/json"
    assert (large.metrics.error, large.metrics.predictions) == ("ResponseTooLarge", [])


# ---- one that fails, fails alone


def test_an_answer_that_cannot_be_encoded_fails_alone(
    classifier: Classifier, some: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = overlay.overlay
    calls = []

    def fails_once(*given: Any) -> bytes:
        calls.append(given)
        if len(calls) == 2:
            raise ValueError("no such color")
        return drawn(*given)

    monkeypatch.setattr(overlay, "overlay", fails_once)
    answers = respond(classifier, [request(content, kind="explain") for content in some[:3]])
    assert [int(answer.status) for answer in answers] == [200, 500, 200]
    assert body(answers[1])["message"] == "the model failed on this request: ValueError"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_logits_that_are_no_numbers_fail_the_request_that_has_them(
    classifier: Classifier, some: Sequence[bytes], value: float, kind: Any
) -> None:
    white = jpeg(Image.new("RGB", (8, 8), "white"))

    def change(inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        bright = (inputs.flatten(1).amin(dim=1) > 0.5).unsqueeze(1)
        return torch.where(bright & (torch.arange(10) == 3), value, logits)

    batch = [request(some[0], kind=kind), request(some[1], white, kind=kind), request(some[2], kind=kind)]
    answers = respond(wrapped(classifier, change), batch)
    assert [int(answer.status) for answer in answers] == [200, 500, 200]
    assert body(answers[1])["message"] == "the model returned NaN or infinity for this image"
    for place in (0, 2):
        assert first_difference(body(answers[place]), body(respond(classifier, [batch[place]])[0])) is None


@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_too_little_memory_for_all_at_once_is_enough_for_each(
    classifier: Classifier, some: Sequence[bytes], kind: Any
) -> None:
    rows = 1 if kind == "predict" else 64  # an explanation of one image takes 20 at least

    def change(inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if len(inputs) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits

    answers = respond(wrapped(classifier, change), [request(content, kind=kind) for content in some])
    assert [int(answer.status) for answer in answers] == [200] * 8


@pytest.mark.parametrize("kind", ["predict", "explain"])
def test_too_little_memory_for_one_is_said_and_its_neighbors_are_answered(
    classifier: Classifier, some: Sequence[bytes], kind: Any
) -> None:
    white = jpeg(Image.new("RGB", (8, 8), "white"))

    def change(inputs: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        if bool((inputs.flatten(1).amin(dim=1) > 0.5).any()):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits

    answers = respond(
        wrapped(classifier, change),
        [request(some[0], kind=kind), request(white, kind=kind), request(some[1], kind=kind)],
    )
    assert [int(answer.status) for answer in answers] == [200, 503, 200]
    assert body(answers[1])["type"] == "OutOfMemory"


def test_a_decoder_without_memory_fails_its_own_request_alone(
    classifier: Classifier, some: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(image: Image.Image, *settings: Any) -> images.Picture:
        if image.width > 8:
            raise MemoryError
        return loaded(image, *settings)

    loaded = images.load
    monkeypatch.setattr(images, "load", fails)
    answers = respond(classifier, [request(some[0]), request(jpeg(Image.new("RGB", (9, 9)))), request(some[1])])
    assert [int(answer.status) for answer in answers] == [200, 503, 200]


@pytest.mark.parametrize("content", [5, None, True, [1], {"\ud800": 1}, {"instances": [{"\ud800": 1, "a": 2}]}])
def test_decoded_json_body_fails_only_its_own_request(
    classifier: Classifier, some: Sequence[bytes], content: Any
) -> None:
    odd = RawRequest("predict", (Part("body", content, "application/json"),), {})
    wrong, right = respond(classifier, [odd, request(some[0])])
    assert (int(wrong.status), body(wrong)["type"], right.status) == (400, "BadJSON", 200)


# ---- what an answer says of itself


@pytest.mark.parametrize("route", ["v1", "v2"])
def test_errors_on_kserves_routes_have_their_message_as_error_too(classifier: Classifier, route: str) -> None:
    incoming = RawRequest("predict", (Part("body", b"{}"),), {"x-torchlight-route": route})
    document = body(respond(classifier, [incoming])[0])
    assert list(document) == ["code", "type", "message", "error"]
    assert document["error"] == document["message"]


def test_server_timing_is_sent_where_it_was_asked_for_and_nowhere_else(
    classifier: Classifier, some: Sequence[bytes]
) -> None:
    asked, silent, explained, failed = respond(
        classifier,
        [
            request(some[0], timing="true"),
            request(some[0]),
            request(some[0], kind="explain", timing="1"),
            request(b"text", timing="true"),
        ],
    )
    stages = [part.partition(";")[0] for part in asked.headers["Server-Timing"].split(", ")]
    assert stages == ["decode", "inference", "encode"]
    assert "explanation;dur=" in explained.headers["Server-Timing"]
    assert ["Server-Timing" in answer.headers for answer in (silent, failed)] == [False, False]
    assert set(silent.metrics.seconds) == {"decode", "inference", "encode"}  # counted all the same


def test_the_wait_is_part_of_the_timing(classifier: Classifier, some: Sequence[bytes]) -> None:
    (part,) = request(some[0]).parts
    incoming = RawRequest("predict", (part,), {"x-timing": "true"}, queue_seconds=0.25)
    (answer,) = respond(classifier, [incoming])
    assert answer.headers["Server-Timing"].startswith("queue;dur=250.00, decode;dur=")


def test_results_are_recorded_for_the_metrics(classifier: Classifier, some: Sequence[bytes]) -> None:
    good, bad = respond(classifier, [request(some[0], some[1], kind="explain"), request(b"text")])
    tops = [result["predictions"][0] for result in body(good)["results"]]
    assert good.metrics.predictions == [(top["label"], top["probability"]) for top in tops]
    assert (good.metrics.kind, good.metrics.error, bad.metrics.error) == ("explain", "", "UnsupportedImage")
    assert "explanation" in good.metrics.seconds


@pytest.mark.parametrize(("accept", "magic"), [("image/png", b"\x89PNG"), ("application/x-npy", b"\x93NUMPY")])
def test_an_explanation_may_be_its_picture_or_its_map_alone(
    classifier: Classifier, some: Sequence[bytes], accept: str, magic: bytes
) -> None:
    (part,) = request(some[0]).parts
    (answer,) = respond(classifier, [RawRequest("explain", (part,), {"accept": accept}, request_id="r-1")])
    assert (answer.headers["content-type"], answer.headers["X-Request-Id"]) == (accept, "r-1")
    assert answer.body.startswith(magic)


# ---- threads


def test_a_batch_is_decoded_in_threads_to_what_each_gives_alone(
    classifier: Classifier, some: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    threaded = Classifier(classifier.card, classifier.engine, estimator=classifier.estimator, folder=classifier.folder)
    decoded = images.open
    names = set()

    def seen(content: bytes, limits: Limits) -> Image.Image:
        names.add(threading.current_thread().name)
        return decoded(content, limits)

    monkeypatch.setattr(images, "open", seen)
    photos = [jpeg(photo(600 + 10 * place, 400)) for place in range(4)]
    batch = [request(photos[0]), request(b"text"), request(some[0], photos[1]), request(photos[2], kind="explain")]
    batch += [request(photos[3][:5000]), request(some[1]), request(*photos), request()]
    assert min(map(len, photos)) > THREADED_BYTES
    together = respond(threaded, batch)
    assert {name.startswith("decode") for name in names} == {True}
    names.clear()
    for answer, incoming in zip(together, batch, strict=True):
        (alone,) = respond(threaded, [incoming])
        assert answer.status == alone.status
        assert first_difference(body(answer), body(alone)) is None
    assert names == {threading.current_thread().name}
    assert [int(answer.status) for answer in together] == [200, 415, 200, 200, 422, 200, 200, 400]


def test_a_few_small_images_are_decoded_without_threads(
    classifier: Classifier, some: Sequence[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(pipeline(classifier)._threads, "map", None)
    assert [len(labels(answer)) for answer in respond(classifier, [request(content) for content in some])] == [5] * 8


def test_images_within_json_are_decoded_in_threads_too(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"image": base64.b64encode(jpeg(photo(800, 600))).decode("ascii")}
    calls = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(
        pipeline(classifier)._threads, "map", lambda step, states: calls.append(len(states)) or map(step, states)
    )
    batch = [RawRequest("predict", (Part("body", document, "application/json"),), {}) for _ in range(2)]
    assert [int(answer.status) for answer in respond(classifier, batch)] == [200, 200]
    assert calls == [2]


def test_single_thread_hands_nothing_to_a_pool(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(pipeline(classifier)._threads, "map", None)
    answers = respond(classifier, [request(jpeg(photo(800, 600))) for _ in range(2)])
    assert [int(answer.status) for answer in answers] == [200, 200]
