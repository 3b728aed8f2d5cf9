from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from handlers.errors import BadJSON, BadOption, BadTensor, ImageTooLarge, TooManyImages
from handlers.protocols import JSON, Result
from handlers.protocols.native import members
from handlers.protocols.v1 import V1Encoder, parse
from models.card import Card, Limits
from tests.unit.handlers.protocols.results import JUDGED, JUDGEMENT, explained, found

CONTENT = b"\x89PNG and so on"
BASE64 = base64.b64encode(CONTENT).decode("ascii")
PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def ask(document: dict[str, Any], limits: Limits = Limits()) -> Any:  # noqa: B008
    return parse(document, "predict", limits)


def nested(instance: Any, levels: int) -> Any:
    """An instance within the member `image` of another one, and so on."""
    for _ in range(levels):
        instance = {"image": instance}
    return instance


@pytest.mark.parametrize(
    "instance",
    [
        BASE64,
        f"data:image/png;base64,{BASE64}",
        {"b64": BASE64},
        {"image": BASE64},
        {"image": {"b64": BASE64}},
        {"image_bytes": {"b64": BASE64}},
        {"image_bytes": BASE64},
    ],
)
def test_an_encoded_image_comes_in_each_of_these_forms(instance: Any) -> None:
    images, given, reply = ask({"instances": [instance]})
    assert (images, given, reply) == ([("instance 0", CONTENT)], [], V1Encoder("predict"))


@pytest.mark.parametrize(
    "instance",
    [
        PIXELS.tolist(),
        np.moveaxis(PIXELS, 2, 0).tolist(),
        {"image": PIXELS.tolist()},
        (PIXELS / 255).tolist(),
    ],
    ids=["last", "first", "named", "floats"],
)
def test_pixels_come_as_nested_lists(instance: Any) -> None:
    ((_, picture),), _, _ = ask({"instances": [instance]})
    assert np.array_equal(picture, PIXELS)


def test_instances_of_all_forms_may_be_mixed_and_keep_their_order() -> None:
    images, _, _ = ask({"instances": [BASE64, [[1, 2]], {"b64": "AA=="}]})
    assert [name for name, _ in images] == ["instance 0", "instance 1", "instance 2"]
    assert (images[0][1], images[1][1].shape[:2], images[2][1]) == (CONTENT, (1, 2), b"\x00")


def test_options_stand_beside_the_instances_or_among_the_parameters() -> None:
    _, given, _ = ask({"instances": [BASE64], "top_k": 2, "parameters": {"target": "dog"}})
    assert given == [("top_k", 2, "JSON"), ("target", "dog", "JSON")]


def test_the_name_of_a_signature_says_nothing() -> None:
    assert ask({"signature_name": "serving_default", "instances": [BASE64]})[1] == []


@pytest.mark.parametrize("value", [None, 5, {}, "text", []])
def test_instances_must_be_a_list_of_some(value: Any) -> None:
    with pytest.raises(BadJSON, match=r"^member 'instances' must be a list of images: {\"instances\": \[\.\.\.\]}"):
        ask({"instances": value} if value is not None else {})


@pytest.mark.parametrize(("value", "kind"), [(None, "NoneType"), ([], "list"), ("a", "str")])
def test_parameters_must_be_an_object(value: Any, kind: str) -> None:
    with pytest.raises(BadJSON, match=f"^member 'parameters' is {kind}: it must be an object with options$"):
        ask({"instances": [BASE64], "parameters": value})


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (5, "instance 1 is 5: send"),
        (None, "instance 1 is None: send"),
        (True, "instance 1 is True: send"),
        ({}, "instance 1 is an object with no members: send"),
        ({"picture": BASE64}, "instance 1 is an object with picture: send"),
        ({"b64": BASE64, "top_k": 1}, "instance 1 is an object with b64, top_k: send"),
        ({"image": 7}, "instance 1 is 7: send"),
        ({"image": {"image": BASE64}}, "instance 1 is an object with image: send"),
        (nested({"b64": BASE64}, 990), "instance 1 is an object with image: send"),
        ({"b64": 7}, "instance 1 is int: it must be a string"),
        ({"b64": None}, "instance 1 is NoneType: it must be a string"),
        ("no base64!", "instance 1 is not base64"),
        ({"image_bytes": {"b64": "?"}}, "instance 1 is not base64"),
    ],
)
def test_an_instance_that_is_no_image_is_named(instance: Any, words: str) -> None:
    with pytest.raises(BadJSON, match=f"^{words}"):
        ask({"instances": [BASE64, instance]})


@pytest.mark.parametrize("instance", [[], [1], [[]], [[["a"]]], [[1], [2, 3]], [[0, 256]], [[[[1]]]], [[1.5]]])
def test_nested_lists_that_are_no_image_are_refused(instance: Any) -> None:
    with pytest.raises(BadTensor):
        ask({"instances": [instance]})


def test_limits_hold() -> None:
    with pytest.raises(TooManyImages, match=r"^3 instances: at most 2 images"):
        ask({"instances": ["", "", ""]}, Limits(max_images=2))
    with pytest.raises(ImageTooLarge, match=r"has 2 x 3 pixels: at most 5"):
        ask({"instances": [[[1, 2]] * 3]}, Limits(max_pixels=5))


def test_predictions_are_an_object_for_each_instance(card: Card) -> None:
    content = V1Encoder("predict").encode(card, "r-1", [Result(found("dog", "cat")), Result(found("cat", "dog"))])
    assert content.headers == {"content-type": JSON}
    assert json.loads(content.body) == {
        "predictions": [{"predictions": found("dog", "cat")}, {"predictions": found("cat", "dog")}]
    }


def test_single_instance_is_answered_in_a_list(card: Card) -> None:
    assert json.loads(V1Encoder("predict").encode(card, "r-1", [Result(found("dog"))]).body) == {
        "predictions": [{"predictions": found("dog")}]
    }


def test_a_judgement_stands_beside_them(card: Card) -> None:
    content = V1Encoder("predict").encode(card, "r-1", [Result(found("dog", "cat"), JUDGEMENT)])
    assert json.loads(content.body) == {"predictions": [{"predictions": found("dog", "cat"), **JUDGED}]}


def test_explanations_are_an_object_for_each_instance(card: Card) -> None:
    content = V1Encoder("explain").encode(card, "r-1", [explained(), explained(2)])
    assert json.loads(content.body) == {"explanations": [members(explained()), members(explained(2))]}


@pytest.mark.parametrize(
    "instance",
    [
        {"data": BASE64},
        {"data": BASE64, "target": 0},
        {"data": {"b64": BASE64}},
        {"image": {"b64": BASE64}},
        {"image_bytes": {"b64": BASE64}, "key": "   1"},
        {"content": BASE64},
        {"b64": BASE64, "key": 7},
    ],
)
def test_the_samples_of_other_servers_are_understood(instance: dict[str, Any]) -> None:
    """TorchServe's for KServe, TensorFlow Serving's flowers, Vertex AI's."""
    images, given, _ = parse({"instances": [instance]}, "predict", Limits())
    assert (images, given) == ([("instance 0", CONTENT)], [])


def test_the_target_of_an_instance_is_the_class_to_explain() -> None:
    same = [{"data": BASE64, "target": 0}, {"data": BASE64, "target": 0}]
    assert parse({"instances": same}, "explain", Limits())[1] == [("target", 0, "instances")]
    for other in ({"data": BASE64, "target": 1}, {"data": BASE64}):
        with pytest.raises(BadOption, match="the instances have targets"):
            parse({"instances": [same[0], other]}, "explain", Limits())


def test_a_key_comes_back_with_its_answer(card: Card) -> None:
    instances = [{"b64": BASE64, "key": "first"}, {"b64": BASE64}]
    reply = parse({"instances": instances}, "predict", Limits())[2]
    entries = json.loads(reply.encode(card, "r-1", [Result(found("dog")), Result(found("cat"))]).body)["predictions"]
    assert [entry.get("key") for entry in entries] == ["first", None]


@pytest.mark.parametrize("key", [[1], {"a": 1}, "x" * 201, 1.5])
def test_a_key_must_be_short(key: Any) -> None:
    with pytest.raises(BadJSON, match="instance 0 has the key"):
        parse({"instances": [{"b64": BASE64, "key": key}]}, "predict", Limits())


def test_the_specification_has_inputs_too() -> None:
    assert parse({"inputs": [BASE64]}, "predict", Limits())[0] == [("instance 0", CONTENT)]
    with pytest.raises(BadJSON, match="'instances' must be a list"):
        parse({"inputs": BASE64}, "predict", Limits())
