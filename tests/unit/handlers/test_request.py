from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import orjson
import pytest

from handlers.errors import BadJSON, BadOption, BadTensor, MissingImage, NotAcceptable, TooManyImages, UnknownOption
from handlers.options import ExplainOptions, PredictOptions
from handlers.protocols.native import NPY, NativeEncoder
from handlers.protocols.v1 import V1Encoder
from handlers.protocols.v2 import V2Encoder
from handlers.request import Kind, Part, RawRequest, Request, parse
from models.card import Limits

PNG = b"\x89PNG\r\n\x1a\n and so on"  # not decoded here
BASE64 = base64.b64encode(PNG).decode("ascii")


def ask(*parts: Part, kind: Kind = "predict", limits: Limits = Limits(), **headers: str) -> Request:  # noqa: B008
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse(RawRequest(kind, parts, names), limits)


def ask_json(document: Any, kind: Kind = "predict", **headers: str) -> Request:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ask(Part("body", content, "application/json"), kind=kind, **headers)


@pytest.mark.parametrize("content_type", ["", "image/png", "application/octet-stream", "text/plain"])
def test_a_raw_body_is_the_image(content_type: str) -> None:
    assert ask(Part("body", PNG, content_type)) == Request(
        "predict", (("body", PNG),), PredictOptions(), NativeEncoder()
    )


def test_options_come_from_the_query_and_headers() -> None:
    request = ask(Part("body", PNG), kind="explain", x_torchlight_query="top_k=3", x_target="8")
    assert (request.kind, request.options) == ("explain", ExplainOptions(top_k=3, target="8"))


def test_multipart_fields_are_options_and_images() -> None:
    request = ask(
        Part("image", PNG, "image/png"),
        Part("top_k", b"2", "text/plain"),
        Part("target", bytearray(b"7")),
        kind="explain",
    )
    assert request == Request("explain", (("image", PNG),), ExplainOptions(top_k=2, target="7"), NativeEncoder())


def test_several_images_keep_their_order_and_names() -> None:
    request = ask(Part("image", b"a"), Part("top_k", b"1"), Part("image#2", b"b"), Part("other", bytearray(b"c")))
    assert request.images == (("image", b"a"), ("image#2", b"b"), ("other", b"c"))


def test_a_repeated_field_is_the_same_option_and_may_not_contradict() -> None:
    assert ask(Part("image", PNG), Part("top_k", b"2"), Part("top_k#2", b"2")).options.top_k == 2
    with pytest.raises(BadOption, match="'top_k' is given as '2' and as '3'"):
        ask(Part("image", PNG), Part("top_k", b"2"), Part("top_k#2", b"3"))


def test_fields_contradicting_the_query_are_refused() -> None:
    with pytest.raises(BadOption, match="'top_k' is given as '9' and as '2'"):
        ask(Part("image", PNG), Part("top_k", b"2"), x_torchlight_query="top_k=9")


def test_json_holds_the_image_as_base64() -> None:
    assert ask_json({"image": BASE64}) == Request("predict", (("image", PNG),), PredictOptions(), NativeEncoder())


def test_members_of_the_json_are_options() -> None:
    request = ask_json({"image": BASE64, "top_k": 3, "target": "8", "method": "ig"}, kind="explain")
    assert request.options == ExplainOptions(top_k=3, method="ig", target="8")


def test_a_data_url_is_base64_too() -> None:
    assert ask_json({"image": f"data:image/png;base64,{BASE64}"}).images == (("image", PNG),)


def test_json_is_known_by_its_type_whatever_its_case_and_charset() -> None:
    content = json.dumps({"image": BASE64}).encode()
    assert ask(Part("body", content, "Application/JSON; charset=utf-8")).images == (("image", PNG),)


def test_json_that_the_server_decoded_by_itself_is_taken() -> None:
    assert ask(Part("body", {"image": BASE64, "top_k": 1})) == Request(
        "predict", (("image", PNG),), PredictOptions(top_k=1), NativeEncoder()
    )


def test_the_servers_own_copy_of_the_json_is_not_changed() -> None:
    document = {"image": BASE64, "top_k": 1}
    ask(Part("body", document))
    assert document == {"image": BASE64, "top_k": 1}


def test_an_unknown_member_is_refused() -> None:
    with pytest.raises(UnknownOption, match=r"unknown option 'topK' \(JSON\): predict has top_k"):
        ask_json({"image": BASE64, "topK": 3})


@pytest.mark.parametrize("content", [b"", b"{", b"{'image': 1}", b"\xff\xfe", b'{"image": "aaaa"} x', b"[" * 100_000])
def test_broken_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadJSON, match="the body is not JSON"):
        ask_json(content)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "has no members"),
        ({"img": BASE64, "top_k": 3}, "has img, top_k"),
        ([BASE64], "is not an object"),
        (5, "is not an object"),
        ("text", "is not an object"),
        (None, "is not an object"),
        (True, "is not an object"),
    ],
)
def test_json_without_an_image_says_what_it_has_and_what_is_wanted(document: Any, words: str) -> None:
    with pytest.raises(BadJSON, match=f'the JSON body {words}: send {{"image": "<base64 of the file>"}}'):
        ask_json(document)


@pytest.mark.parametrize(
    ("value", "found"), [(5, "int"), (None, "NoneType"), ([BASE64], "list"), ({"b64": BASE64}, "dict")]
)
def test_an_image_that_is_no_text_is_refused(value: Any, found: str) -> None:
    with pytest.raises(BadJSON, match=f"member 'image' is {found}: it must be a string"):
        ask_json({"image": value})


@pytest.mark.parametrize("value", ["no base64!", BASE64[:-1], "ä" + BASE64, "samples/3.png"])
def test_bad_base64_is_refused_with_its_beginning(value: str) -> None:
    with pytest.raises(BadJSON, match="member 'image' is not base64") as raised:
        ask_json({"image": value})
    assert repr(value[:24]) in str(raised.value)


def test_empty_request_is_refused_as_missing_image() -> None:
    with pytest.raises(MissingImage, match="no image was sent"):
        ask()


def test_options_without_an_image_are_no_image() -> None:
    with pytest.raises(MissingImage, match="no image was sent"):
        ask(Part("top_k", b"2"), Part("target", b"7"), kind="explain")


@pytest.mark.parametrize("value", [None, 5, 10**12, 1.5, True, [1, 2], [BASE64], [[[]]], [{}]])
@pytest.mark.parametrize("headers", [{}, {"inference_header_content_length": "5"}, {"x_torchlight_route": "v2"}])
def test_json_that_the_server_decoded_to_something_else_is_no_object(value: Any, headers: dict[str, str]) -> None:
    with pytest.raises(BadJSON, match="the JSON body is not an object"):
        ask(Part("body", value, "application/json"), **headers)


@pytest.mark.parametrize("content", [None, b"", bytearray(), ""])
def test_an_empty_body_is_left_to_the_decoder(content: Any) -> None:
    assert ask(Part("body", content)).images == (("body", b""),)


@pytest.mark.parametrize(("value", "top_k"), [(3, 3), ("3", 3), (b" 3 ", 3), (bytearray(b"3"), 3)])
def test_a_field_may_be_sent_as_json(value: Any, top_k: int) -> None:
    assert ask(Part("image", PNG), Part("top_k", value, "application/json")).options.top_k == top_k


@pytest.mark.parametrize("value", [None, [3], {"a": 3}, 10**12, float("nan")])
def test_a_field_of_json_that_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(BadOption, match=r"top_k"):
        ask(Part("image", PNG), Part("top_k", value, "application/json"))


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "text/plain"])
def test_json_is_known_by_its_first_byte_where_its_type_says_nothing(content_type: str) -> None:
    content = json.dumps({"image": BASE64}).encode()
    assert ask(Part("body", content, content_type)).images == (("image", PNG),)
    assert ask(Part("body", content.decode(), content_type)).images == (("image", PNG),)


def test_image_content_type_is_never_parsed_as_json() -> None:
    assert ask(Part("body", b"{", "image/png")).images == (("body", b"{"),)


@pytest.mark.parametrize(
    ("document", "reply"),
    [
        ({"image": BASE64}, NativeEncoder()),
        ({"instances": [BASE64]}, V1Encoder("predict")),
        ({"inputs": [{"shape": [1], "datatype": "BYTES", "data": [BASE64]}]}, V2Encoder("", {})),
    ],
)
@pytest.mark.parametrize("route", ["", "invocations"])
def test_the_shape_of_the_json_chooses_that_of_the_answer(document: Any, reply: Any, route: str) -> None:
    request = ask_json(document, x_torchlight_route=route)
    assert [image for _, image in request.images] == [PNG]
    assert type(request.encoder) is type(reply)


@pytest.mark.parametrize(
    ("route", "words"), [("v1", "member 'instances' must be a list"), ("v2", "member 'inputs' must be a list")]
)
@pytest.mark.parametrize("document", [{"image": BASE64}, {}, {"instances": 1, "inputs": 1}])
def test_on_the_roads_of_kserve_the_json_must_have_their_shape(route: str, words: str, document: Any) -> None:
    with pytest.raises(BadJSON, match=words):
        ask_json(document, x_torchlight_route=route)


@pytest.mark.parametrize("route", ["v1", "v2"])
def test_on_the_roads_of_kserve_an_image_alone_is_no_request(route: str) -> None:
    with pytest.raises(BadJSON, match="the body is not JSON"):
        ask(Part("body", PNG, "image/png"), x_torchlight_route=route)


def test_the_binary_extension_is_known_by_its_header_on_any_route() -> None:
    size = 4 + len(PNG)
    tensor = {"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    document = json.dumps({"inputs": [tensor]}).encode()
    body = document + len(PNG).to_bytes(4, "little") + PNG
    request = ask(Part("body", bytearray(body)), inference_header_content_length=str(len(document)))
    assert request.images == (("image 0", PNG),)
    assert isinstance(request.encoder, V2Encoder)


def test_json_with_that_header_and_nothing_after_it_is_taken_as_the_server_decoded_it() -> None:
    document = {"inputs": [{"shape": [1], "datatype": "BYTES", "data": [BASE64]}]}
    length = str(len(json.dumps(document)))
    assert ask(Part("body", document, "application/json"), inference_header_content_length=length).images == (
        ("image 0", PNG),
    )


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("content_type", ["application/x-npy", "Application/X-NPY; a=b", "", "image/png"])
def test_an_npy_file_is_known_by_its_type_or_its_first_bytes(content_type: str) -> None:
    array = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    request = ask(Part("body", saved(array), content_type))
    assert [name for name, _ in request.images] == ["body", "body"]
    assert np.array_equal(np.stack([image for _, image in request.images]), array)


def test_npy_content_type_requires_an_npy_file() -> None:
    with pytest.raises(BadTensor, match="header is damaged"):
        ask(Part("body", PNG, "application/x-npy"))


def test_images_of_a_form_may_be_files_and_arrays() -> None:
    images = ask(Part("a", PNG), Part("b", saved(np.zeros((4, 5), np.uint8)))).images
    assert [(name, type(image)) for name, image in images] == [("a", bytes), ("b", np.ndarray)]


def test_more_images_than_allowed_are_refused() -> None:
    parts = [Part(f"image#{number}", PNG) for number in range(4)]
    assert len(ask(*parts, limits=Limits(max_images=4)).images) == 4
    with pytest.raises(TooManyImages, match=r"^4 images: at most 3 go into one request$") as raised:
        ask(*parts, limits=Limits(max_images=3))
    assert raised.value.status == 413


def test_accept_chooses_the_answer_of_an_explanation() -> None:
    assert ask(Part("body", PNG), kind="explain", accept=NPY).encoder == NativeEncoder("npy")
    with pytest.raises(NotAcceptable):
        ask(Part("body", PNG), kind="predict", accept=NPY)


@pytest.mark.parametrize(
    "document",
    [{"instances": [BASE64]}, {"inputs": [{"shape": [1], "datatype": "BYTES", "data": [BASE64]}]}],
)
def test_the_protocols_of_kserve_are_answered_in_json_whatever_accept_says(document: dict[str, Any]) -> None:
    assert not isinstance(ask_json(document, kind="explain", accept="image/png").encoder, NativeEncoder)


@pytest.mark.parametrize(
    "document",
    [{"instances": [BASE64]}, {"inputs": [{"shape": [1], "datatype": "BYTES", "data": [BASE64]}]}],
)
def test_the_protocols_of_kserve_have_no_other_output(document: dict[str, Any]) -> None:
    ask_json(document | {"parameters": {"output": "json"}}, kind="explain")
    with pytest.raises(BadOption, match="output is 'npy': v1 and v2 answer in JSON alone"):
        ask_json(document | {"parameters": {"output": "npy"}}, kind="explain")


@pytest.mark.parametrize(
    "document",
    [
        b'{"instances": [' + b'{"image": ' * 1000 + b"1" + b"}" * 1000 + b"]}",
        b'{"inputs": [{"shape": ' + b"[" * 1000 + b"]" * 1000 + b"}]}",
        b'{"inputs": [{"shape": [1], "datatype": ' + b"[" * 1000 + b"]" * 1000 + b"}]}",
        b'{"instances": [' + b"[" * 1000 + b"]" * 1000 + b"]}",
    ],
)
@pytest.mark.parametrize("decode", [bytes, orjson.loads], ids=["as sent", "decoded by the server"])
def test_json_nested_too_deeply_is_the_callers_fault(document: bytes, decode: Any) -> None:
    with pytest.raises((BadJSON, BadTensor)):
        ask(Part("body", decode(document), "application/json"))


def test_a_thousand_objects_in_each_other_do_not_end_the_worker() -> None:
    content = b'{"instances": [' + b'{"image": ' * 1000 + b"1" + b"}" * 1000 + b"]}"
    with pytest.raises(BadJSON, match=r"^instance 0 is an object with image: send "):
        ask(Part("body", content, "application/json"))


@pytest.mark.parametrize(
    ("document", "route"),
    [
        ({"image": BASE64}, ""),
        ({"image": BASE64}, "invocations"),
        ({"instances": [BASE64]}, "v1"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [BASE64]}]}, "v2"),
    ],
)
def test_the_comparison_of_two_versions_gets_bare_maps_in_any_protocol(document: Any, route: str) -> None:
    marks = {"x_torchlight_route": route, "x_torchlight_maps": "1"}
    assert ask_json(document, kind="explain", **marks).encoder == NativeEncoder("npy")
    assert ask_json(document, kind="predict", **marks).encoder != NativeEncoder("npy")
