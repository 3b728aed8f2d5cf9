from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handlers.errors import BadJSON, BadOption, NotAcceptable
from handlers.protocols import JSON, Result
from handlers.protocols.native import NPY, OUTPUT_TYPES, PNG, NativeEncoder, members, negotiate, parse
from models.card import Card
from tests.unit.handlers.protocols.results import FIELDS, JUDGED, JUDGEMENT, explained, found

HEAD = {"model": "pets", "version": "1.0", "request_id": "r-1"}


def test_all_members_but_the_image_are_options() -> None:
    document = {"top_k": 3, "image": "AAEC", "target": "dog"}
    assert parse(document) == ([("image", b"\x00\x01\x02")], [("top_k", 3, "JSON"), ("target", "dog", "JSON")])


@pytest.mark.parametrize(("document", "words"), [({}, "no members"), ({"a": 1, "b": 2}, "a, b")])
def test_a_document_without_an_image_is_answered_with_what_is_taken(document: dict[str, Any], words: str) -> None:
    with pytest.raises(BadJSON, match=rf'^the JSON body has {words}: send {{"image": .*"instances".*"inputs"'):
        parse(document)


def test_the_names_of_a_thousand_members_are_not_all_repeated() -> None:
    with pytest.raises(BadJSON) as raised:
        parse({f"member {number}": 1 for number in range(1000)})
    assert len(str(raised.value)) < 450


def test_single_image_is_answered_beside_model_and_version(card: Card) -> None:
    content = NativeEncoder().encode(card, "r-1", [Result(found("dog", "cat"))])
    assert content.headers == {"content-type": JSON}
    assert json.loads(content.body) == HEAD | {"predictions": found("dog", "cat")}


def test_many_images_are_answered_in_a_list(card: Card) -> None:
    content = NativeEncoder().encode(card, "r-1", [Result(found("dog")), Result(found("cat"))])
    assert json.loads(content.body) == HEAD | {
        "results": [{"predictions": found("dog")}, {"predictions": found("cat")}]
    }


def test_an_explanation_has_its_fields_and_picture_beside_the_prediction(card: Card) -> None:
    one = json.loads(NativeEncoder().encode(card, "r-1", [explained()]).body)
    pictures = [Image.open(io.BytesIO(base64.b64decode(one.pop(name)))) for name in ("overlay_png", "heatmap_png")]
    assert one == HEAD | {"predictions": found("dog", "cat")} | FIELDS
    assert {picture.format for picture in pictures} == {"PNG"}
    assert pictures[1].size == (4, 4), "a pixel for each value"
    many = json.loads(NativeEncoder().encode(card, "r-1", [explained(), explained()]).body)
    assert many == HEAD | {"results": [members(explained())] * 2}


def test_a_judgement_stands_between_the_prediction_and_its_explanation(card: Card) -> None:
    document = json.loads(NativeEncoder().encode(card, "r-1", [replace(explained(), uncertainty=JUDGEMENT)]).body)
    assert list(document) == [*HEAD, "predictions", *JUDGED, *FIELDS, "overlay_png", "heatmap_png"]
    assert {name: document[name] for name in JUDGED} == JUDGED


def test_the_picture_alone_is_the_one_that_json_would_hold(card: Card) -> None:
    content = NativeEncoder("overlay").encode(card, "r-1", [explained()])
    assert content.headers["content-type"] == "image/png"
    assert content.body == base64.b64decode(members(explained())["overlay_png"])


def test_the_array_alone_is_the_signed_map(card: Card) -> None:
    content = NativeEncoder("npy").encode(card, "r-1", [explained(-0.25)])
    assert content.headers["content-type"] == "application/x-npy"
    array = np.load(io.BytesIO(content.body))
    assert (array.dtype, array.shape, array[0, 0], np.abs(array).sum()) == (np.float16, (4, 4), -0.25, 0.25)


def test_the_arrays_of_many_images_are_stacked_in_order(card: Card) -> None:
    content = NativeEncoder("npy").encode(card, "r-1", [explained(1), explained(2), explained(3)])
    array = np.load(io.BytesIO(content.body))
    assert (array.shape, array[:, 0, 0].tolist()) == ((3, 4, 4), [1, 2, 3])


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("  ", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/*", JSON),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("image/*", PNG),
        ("application/x-npy", NPY),
        ("image/png, application/json", JSON),  # no preference: ours
        ("image/png, */*", PNG),  # whoever names a type means it
        ("image/*, */*", PNG),
        ("application/*, image/png", PNG),
        ("image/png;q=0.9, application/json;q=0.8", PNG),
        ("application/json;q=0.1, application/x-npy;q=0.2", NPY),
        ("image/png ; q=0.5 , application/json ; Q=0.6", JSON),
        ("application/json;q=0, */*", PNG),
        ("application/json;q=0.000, application/*;q=1.000", NPY),
        ("image/png;q=0, image/*, application/json;q=0.1", JSON),
        ("*/*;q=0.1, application/x-npy", NPY),
        ("text/html, image/avif, image/png, */*;q=0.8", PNG),  # what a browser's <img> asks for
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),  # what its address line asks for
        # RFC 9110, 12.5.1
        ("audio/*; q=0.2, image/png", PNG),
        ("text/plain; q=0.5, text/html, text/x-dvi; q=0.8, image/png;q=0.1", PNG),
        ("text/*, text/plain, text/plain;format=flowed, */*", JSON),
        ("text/*;q=0.3, text/plain;q=0.7, text/plain;format=fixed;q=0.4, */*;q=0.5", JSON),
        ("image/png;level=1;q=0.3, application/json;q=0.2", PNG),
        (", ,image/png,", PNG),
    ],
)
def test_accept_chooses_by_quality_and_by_the_most_specific_range(accept: str, chosen: str) -> None:
    assert OUTPUT_TYPES[negotiate(accept, "explain", 1)] == chosen


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "text/html, */*;q=0.1", "image/png, */*;q=0.1"])
def test_a_prediction_is_json(accept: str) -> None:
    assert negotiate(accept, "predict", 1) == "json"


@pytest.mark.parametrize(
    ("accept", "kind", "images", "offered"),
    [
        ("text/html", "explain", 1, "application/json, image/png, application/x-npy$"),
        ("application/json;q=0", "explain", 1, "application/json, image/png, application/x-npy$"),
        ("*/*;q=0", "explain", 1, "application/json, image/png, application/x-npy$"),
        ("image/png", "predict", 1, "application/json$"),
        ("application/x-npy", "predict", 1, "application/json$"),
        ("image/png", "explain", 2, r"application/json, application/x-npy \(image/png for one image too\)$"),
        ("audio/*; q=0.2, audio/basic", "predict", 1, "application/json$"),
    ],
)
def test_unsupported_output_is_refused_with_the_supported_ones(
    accept: str, kind: str, images: int, offered: str
) -> None:
    with pytest.raises(NotAcceptable, match=rf"^Accept is .*: this answer can be {offered}") as raised:
        negotiate(accept, kind, images)
    assert raised.value.status == 406


def test_many_images_are_no_picture_but_an_array() -> None:
    assert negotiate("image/png, application/x-npy;q=0.1", "explain", 2) == "npy"


def test_an_absurdly_long_accept_is_neither_read_nor_repeated_in_full() -> None:
    with pytest.raises(NotAcceptable) as raised:
        negotiate("text/html, " * 100_000 + "application/json", "explain", 1)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("output", "accept"),
    [("json", ""), ("overlay", "image/*"), ("heatmap", "*/*"), ("heatmap", "image/png"), ("npy", "application/x-npy")],
)
def test_an_output_that_is_asked_for_is_given(output: str, accept: str) -> None:
    assert negotiate(accept, "explain", 1, output) == output


def test_an_output_and_an_accept_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(NotAcceptable, match=r"Accept is 'application/json': this answer can be image/png$"):
        negotiate("application/json", "explain", 1, "overlay")


@pytest.mark.parametrize("output", ["overlay", "heatmap"])
def test_a_picture_is_of_one_image(output: str) -> None:
    with pytest.raises(BadOption, match=f"output is '{output}' for 2 images: a picture is of one"):
        negotiate("", "explain", 2, output)


def test_the_map_alone_is_as_large_as_the_overlay(card: Card) -> None:
    sizes = []
    for output in ("overlay", "heatmap"):
        content = NativeEncoder(output).encode(card, "r-1", [explained()])
        assert content.headers["content-type"] == "image/png"
        sizes.append(Image.open(io.BytesIO(content.body)).size)
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("output", ["json", "overlay", "heatmap"])
def test_picture_drawn_ahead_is_the_one_sent(card: Card, output: str) -> None:
    result = explained()
    assert result.explanation is not None
    size = NativeEncoder(output).render(result.explanation)
    sent = len(NativeEncoder(output).encode(card, "r-1", [result]).body)
    assert size <= sent < size + 1000
