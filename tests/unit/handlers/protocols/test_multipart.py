"""multipart/form-data as common clients write it, and what is none."""

from __future__ import annotations

import time

import pytest
import requests

from handlers.errors import BadMultipart
from handlers.protocols.multipart import MAX_PARTS, Part, parse

TYPE = "multipart/form-data; boundary=xyz"


def body(*parts: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + end


def part(content: bytes, name: bytes = b"a", more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="%s"%s\r\n\r\n%s' % (name, more, content)


def test_multipart_of_requests_is_read_back() -> None:
    image = bytes(range(256)) * 9 + b"\r\n--\r\n"
    files = [("image", ("café.png", image, "image/png")), ("image", ("b", b"", "image/jpeg"))]
    sent = requests.Request("POST", "http://x", files=files, data={"top_k": "2", "ta\u0142get": "ż"}).prepare()
    assert isinstance(sent.body, bytes)
    assert parse(sent.body, sent.headers["Content-Type"]) == [
        Part("top_k", b"2", is_field=True),
        Part("ta\u0142get", "ż".encode(), is_field=True),
        Part("image", image, "image/png"),
        Part("image", b"", "image/jpeg"),
    ]


def test_preamble_epilogue_padding_and_order_of_headers_are_as_the_rfc_allows() -> None:
    headers = b"content-type: text/plain\r\nCONTENT-disposition: form-data; name=b"
    assert parse(b"preamble\r\n--xyz \t\r\n" + headers + b"\r\n\r\n1\r\n--xyz--bye", TYPE) == [
        Part("b", b"1", "text/plain", is_field=True)
    ]
    assert parse(body(part(b"1", b"")), TYPE) == [Part("", b"1", is_field=True)]
    extended = b"Content-Disposition: form-data; name*=UTF-8''%C3%A9\r\n\r\n1"
    assert parse(body(extended), TYPE) == [Part("\u00e9", b"1", is_field=True)]
    assert parse(body(), TYPE) == []


def test_a_quoted_boundary_is_taken() -> None:
    quoted = 'multipart/form-data; charset=utf-8; boundary="x y:z"'
    assert parse(b"--x y:z\r\n" + part(b"1") + b"\r\n--x y:z--", quoted) == [Part("a", b"1", is_field=True)]


@pytest.mark.parametrize(
    ("content", "content_type", "says"),
    [
        (body(part(b"1")), "multipart/form-data", "must be multipart/form-data; boundary="),
        (body(part(b"1")), "multipart/mixed; boundary=xyz", "must be multipart/form-data"),
        (body(part(b"1")), "multipart/form-data; boundary=abc", "'abc' of the header does not occur"),
        (b"", TYPE, "does not occur"),
        (body(part(b"1"), end=b""), TYPE, "cut short"),
        (body(part(b"1"), part(b"2"))[:-12], TYPE, "cut short"),
        (body(part(b"1"))[:-9], TYPE, "part 2 has no headers|cut short"),
        (body(b"no headers"), TYPE, "part 1 has no headers"),
        (body(b"X: " + b"y" * 9_000 + b"\r\n\r\n1"), TYPE, "more than 1000 bytes"),
        (body(part(b"1"), b"X: y\r\n\r\n1"), TYPE, "part 2 has no header Content-Disposition"),
        (body(b"Content-Disposition: form-data\r\n\r\n1"), TYPE, 'name="..."'),
        (body(b'Content-Disposition: attachment; name="a"\r\n\r\n1'), TYPE, "form-data"),
        (body(part(b"1", more=b"\r\nContent-Transfer-Encoding: base64")), TYPE, "is encoded .'base64'"),
        (body(part(b"1", more=b"\r\nContent-Type: multipart/mixed; boundary=i")), TYPE, "is encoded"),
        (body(*[part(b"")] * (MAX_PARTS + 1)), TYPE, "more than 200 parts"),
        (body(part(b"1")).replace(b"\r\n", b"\n"), TYPE, "no headers|does not occur|cut short"),
    ],
)
def test_truncated_multipart_is_rejected(content: bytes, content_type: str, says: str) -> None:
    with pytest.raises(BadMultipart, match=says):
        parse(content, content_type)


def test_multipart_at_the_part_limit_is_read() -> None:
    assert len(parse(body(*[part(b"")] * MAX_PARTS), TYPE)) == MAX_PARTS


def test_headers_that_are_hard_to_parse_cost_little() -> None:
    hard = b"Content-Disposition: " + b'";' * 450 + b"\r\n\r\n"
    began = time.perf_counter()
    with pytest.raises(BadMultipart):
        parse(body(*[b'Content-Disposition: form-data; name="a"; x=' + b'";' * 450 + b"\r\n\r\n"] * 150, hard), TYPE)
    assert time.perf_counter() - began < 5


def test_a_body_of_nothing_but_boundaries_costs_little() -> None:
    with pytest.raises(BadMultipart):
        parse(b"\r\n--xyz" * 1_000_000, TYPE)
