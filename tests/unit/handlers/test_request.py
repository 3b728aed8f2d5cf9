from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from handlers.errors import BadJSON, BadOption, NoImage, UnknownOption
from handlers.options import Options
from handlers.request import Incoming, Kind, Part, Request, parse

PNG = b"\x89PNG\r\n\x1a\n and so on"  # not decoded here
BASE64 = base64.b64encode(PNG).decode("ascii")


def ask(*parts: Part, kind: Kind = "predict", **headers: str) -> Request:
    return parse(Incoming(kind, parts, {name.replace("_", "-"): value for name, value in headers.items()}))


def ask_json(document: Any, kind: Kind = "predict", **headers: str) -> Request:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ask(Part("body", content, "application/json"), kind=kind, **headers)


@pytest.mark.parametrize("content_type", ["", "image/png", "application/octet-stream", "text/plain"])
def test_a_raw_body_is_the_image(content_type: str) -> None:
    assert ask(Part("body", PNG, content_type)) == Request("predict", (("body", PNG),), Options())


def test_options_come_from_the_query_and_headers() -> None:
    request = ask(Part("body", PNG), kind="explain", x_torchlight_query="top_k=3", x_target="8")
    assert (request.kind, request.options) == ("explain", Options(top_k=3, target="8"))


def test_multipart_fields_are_options_and_images() -> None:
    request = ask(
        Part("image", PNG, "image/png"),
        Part("top_k", b"2", "text/plain"),
        Part("target", bytearray(b"7")),
        kind="explain",
    )
    assert request == Request("explain", (("image", PNG),), Options(top_k=2, target="7"))


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
    assert ask_json({"image": BASE64}) == Request("predict", (("image", PNG),), Options())


def test_members_of_the_json_are_options() -> None:
    request = ask_json({"image": BASE64, "top_k": 3, "target": "8", "method": "ig"}, kind="explain")
    assert request.options == Options(top_k=3, method="ig", target="8")


def test_a_data_url_is_base64_too() -> None:
    assert ask_json({"image": f"data:image/png;base64,{BASE64}"}).images == (("image", PNG),)


def test_json_is_known_by_its_type_whatever_its_case_and_charset() -> None:
    content = json.dumps({"image": BASE64}).encode()
    assert ask(Part("body", content, "Application/JSON; charset=utf-8")).images == (("image", PNG),)


def test_json_that_the_server_decoded_by_itself_is_taken() -> None:
    assert ask(Part("body", {"image": BASE64, "top_k": 1})) == Request("predict", (("image", PNG),), Options(top_k=1))


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
        ([BASE64], "is no object"),
        (5, "is no object"),
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


def test_nothing_at_all_is_no_image() -> None:
    with pytest.raises(NoImage, match="no image was sent"):
        ask()


def test_options_without_an_image_are_no_image() -> None:
    with pytest.raises(NoImage, match="no image was sent"):
        ask(Part("top_k", b"2"), Part("target", b"7"), kind="explain")
