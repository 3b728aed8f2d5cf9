"""Forms as browsers and other clients send them: what is an image, what an option, and what is neither."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from handlers.errors import BadOption, MissingImage, UnknownOption
from handlers.protocols.multipart import Part
from handlers.request import MULTIPART_HEADER, Kind, RawRequest, Request, parse
from models.card import Limits

PNG = b"\x89PNG\r\n\x1a\n and so on"  # not decoded here
BOUNDARY = "----WebKitFormBoundaryAbc"
FILE = 'name="image"; filename="3.png"\r\nContent-Type: image/png'
EMPTY_FILE = 'name="second"; filename=""\r\nContent-Type: application/octet-stream'


def send(*fields: tuple[str, bytes | str], kind: Kind = "explain") -> Request:
    """Parse a form; each field is its headers after `form-data;` and its content."""
    body = b""
    for headers, content in fields:
        encoded = content.encode() if isinstance(content, str) else content
        body += f"--{BOUNDARY}\r\nContent-Disposition: form-data; {headers}\r\n\r\n".encode() + encoded + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    headers = {MULTIPART_HEADER: f"multipart/form-data; boundary={BOUNDARY}"}
    return parse(RawRequest(kind, (Part("body", body),), headers), Limits())


def images(*fields: tuple[str, bytes | str]) -> list[tuple[str, Any]]:
    return list(send((FILE, PNG), *fields).images)


@pytest.mark.parametrize(
    "field",
    [
        ('name="send"', "Classify"),
        ('name="go"', ""),
        (EMPTY_FILE, b""),
        ('name="csrfmiddlewaretoken"', "qwerty"),
        ('name="_method"', "post"),
        ('name="_charset_"', "UTF-8"),
        ('name="utf8"', "✓"),
        ('name="MAX_FILE_SIZE"', "6000000"),
        ('name="state"', '{"page": 3}'),
        ('name="größe"', "mittel"),
        ('name="notes"', "line one\r\nline two"),
        ('name="a%22b"', "x"),
        ('name="patient"\r\nContent-Type: text/plain; charset=utf-8', "Müller"),
        ('name=""', "x"),
    ],
)
def test_a_field_that_is_no_option_breaks_nothing(field: tuple[str, str | bytes]) -> None:
    assert images(field) == [("image", PNG)]


@pytest.mark.parametrize("name", ["top_k", "target", "method", "faithfulness", "alpha", "contrast", "deadline_ms"])
def test_a_field_left_blank_is_not_given(name: str) -> None:
    blank, plain = send((FILE, PNG), (f'name="{name}"', " ")), send((FILE, PNG))
    assert blank.options == plain.options


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["on"], True), (["off"], False), (["0", "on"], True), (["true", "false"], True), ([], False)],
)
def test_a_checkbox_is_a_switch_also_beside_the_hidden_field_for_off(values: list[str], expected: bool) -> None:
    request = send((FILE, PNG), *(('name="faithfulness"', value) for value in values))
    assert request.options.faithfulness is expected


def test_a_switch_with_another_word_is_still_refused() -> None:
    with pytest.raises(BadOption, match="faithfulness is 'perhaps'"):
        send((FILE, PNG), ('name="faithfulness"', "perhaps"))


@pytest.mark.parametrize("name", ["topk", "Top_K", "top-k", "targets", "step", "colourmap"])
def test_a_misspelt_option_is_not_taken_for_a_field_of_the_form(name: str) -> None:
    with pytest.raises(UnknownOption, match="did you mean"):
        send((FILE, PNG), (f'name="{name}"', "3"))


def test_an_option_of_the_other_kind_is_still_refused() -> None:
    with pytest.raises(UnknownOption, match="unknown option 'target'"):
        send((FILE, PNG), ('name="target"', "3"), kind="predict")


def test_a_label_beyond_ascii_is_read_in_the_encoding_of_the_form() -> None:
    assert send((FILE, PNG), ('name="target"', "größer")).options.target == "größer"
    latin = ('name="target"', "größer".encode("latin-1"))
    assert send((FILE, PNG), latin, ('name="_charset_"', "windows-1252")).options.target == "größer"
    own = 'name="target"\r\nContent-Type: text/plain; charset=ISO-8859-1'
    assert send((FILE, PNG), (own, latin[1])).options.target == "größer"
    # What is no encoding of text is not used: Python's `idna` takes time with the square of the length.
    assert send((FILE, PNG), ('name="target"', "größer"), ('name="_charset_"', "idna")).options.target == "größer"


def test_an_image_without_a_file_name_is_an_image() -> None:
    assert images(('name="raw"', PNG)) == [("image", PNG), ("raw", PNG)]


def test_a_data_url_in_a_hidden_field_is_an_image() -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert images(('name="canvas"', url)) == [("image", PNG), ("canvas", PNG)]


def test_a_file_name_beyond_ascii_is_read_in_both_forms() -> None:
    extended = "name=\"other\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.png\r\nContent-Type: image/png"
    raw = 'name="third"; filename="größe ☃.png"\r\nContent-Type: image/png'
    assert images((extended, PNG), (raw, PNG)) == [("image", PNG), ("other", PNG), ("third", PNG)]


def test_a_chosen_file_that_is_empty_is_not_dropped() -> None:
    assert images(('name="second"; filename="empty.png"\r\nContent-Type: image/png', b""))[1] == ("second", b"")


def test_a_form_without_a_chosen_file_says_that_no_image_was_sent() -> None:
    with pytest.raises(MissingImage):
        send((EMPTY_FILE, b""), ('name="send"', "Classify"))
