"""Requests that the clients send."""

from __future__ import annotations

import io
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.clients.python.server import Say, Server
from torchlight_client import InvalidArgument, TorchlightError

Serve = Callable[..., Server]
Connect = Callable[..., Any]

CLASSES = [{"label": "cat", "index": 0, "probability": 0.75}, {"label": "dog", "index": 1, "probability": 0.25}]
ONE = {"model": "pets", "version": "1.0", "request_id": "r1", "predictions": CLASSES}
TWO = {
    "model": "pets",
    "version": "1.0",
    "request_id": "r1",
    "results": [{"predictions": CLASSES}, {"predictions": CLASSES[::-1]}],
}
PNG = b"\x89PNG\r\n\x1a\n..."


def parts(body: bytes, content_type: str) -> list[Message]:
    """The parts of a multipart body, taken apart by the standard library."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


def test_single_image_is_sent_as_the_body(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=ONE))
    connect(server.url + "/").predict("pets", PNG)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/predictions/pets", PNG)
    assert seen.headers["content-type"] == "application/octet-stream"
    assert seen.headers["accept"] == "application/json"
    assert {"authorization", "x-request-id", "cookie"} & set(seen.headers) == set()


def test_version_options_token_and_request_id_have_their_places(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=ONE))
    connect(server.url, "open-sesame").predict("my pets", PNG, "2.0", top_k=3, request_id="mine-1")
    (seen,) = server.seen
    assert seen.path == "/predictions/my%20pets/2.0?top_k=3"
    assert seen.headers["authorization"] == "Bearer open-sesame"
    assert seen.headers["x-request-id"] == "mine-1"


def test_a_netrc_does_not_replace_the_token(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(Say(body=ONE))
    connect(server.url, "open-sesame").predict("pets", PNG)
    assert server.seen[0].headers["authorization"] == "Bearer open-sesame"


def test_a_name_with_a_slash_stays_one_name(serve: Serve, connect: Connect) -> None:
    server = serve(Say(404, {"code": 404, "type": "ModelNotFound", "message": "no"}))
    with pytest.raises(TorchlightError):
        connect(server.url).predict("a/b?c", PNG)
    assert server.seen[0].path == "/predictions/a%2Fb%3Fc"


def test_several_images_are_parts_in_order(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=TWO))
    first, second = connect(server.url).predict("pets", [PNG, np.zeros((2, 3, 3), np.uint8)], top_k=2)
    assert (first.best.label, second.best.label) == ("cat", "dog")
    (seen,) = server.seen
    assert seen.path == "/predictions/pets?top_k=2"
    png, npy = parts(seen.body, seen.headers["content-type"])
    assert (png.get_content_type(), png.get_payload(decode=True)) == ("application/octet-stream", PNG)
    assert npy.get_content_type() == "application/x-npy"
    assert [part.get_param("name", header="content-disposition") for part in (png, npy)] == ["image1", "image2"]


def test_a_list_of_one_is_answered_with_a_list_of_one(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=ONE))
    (only,) = connect(server.url).predict("pets", (PNG,))
    assert only.best.label == "cat"
    assert server.seen[0].body == PNG


def test_files_go_as_they_are(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    server = serve(Say(body=ONE))
    (tmp_path / "cat.png").write_bytes(PNG)
    client = connect(server.url)
    client.predict("pets", tmp_path / "cat.png")
    client.predict("pets", str(tmp_path / "cat.png"))
    client.predict("pets", memoryview(PNG))
    assert [seen.body for seen in server.seen] == [PNG] * 3


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_an_array_goes_as_npy(serve: Serve, connect: Connect, shape: tuple[int, ...]) -> None:
    server = serve(Say(body=ONE))
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    connect(server.url).predict("pets", array)
    assert server.seen[0].headers["content-type"] == "application/x-npy"
    assert np.array_equal(np.load(io.BytesIO(server.seen[0].body)), array)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16"])
def test_a_picture_goes_as_png_with_its_pixels(serve: Serve, connect: Connect, mode: str) -> None:
    server = serve(Say(body=ONE))
    picture = Image.linear_gradient("L").resize((6, 4))
    picture = picture.convert(mode) if mode in ("1", "P", "I;16") else picture.convert("RGB").convert(mode)
    connect(server.url).predict("pets", picture)
    sent = Image.open(io.BytesIO(server.seen[0].body))
    assert sent.format == "PNG"
    assert np.array_equal(np.asarray(sent.convert("RGB")), np.asarray(picture.convert("RGB")))


def test_a_turned_photo_goes_upright(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=ONE))
    picture = Image.new("RGB", (6, 4))
    picture.getexif()[0x0112] = 6  # Orientation: the camera was turned by 90 degrees
    connect(server.url).predict("pets", picture)
    assert Image.open(io.BytesIO(server.seen[0].body)).size == (4, 6)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (5, "an image is int: give bytes, a path"),
        (None, "an image is NoneType"),
        ([], "the list of images is empty"),
        ([PNG, 5], "an image is int"),
        (np.zeros((2, 2, 3), np.float32), r"an array is float32 \(2, 2, 3\): give uint8"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"for a batch list\(array\)"),
        (Image.new("F", (2, 2)), "mode F"),
        ("no/such.png", r"the image no/such\.png: No such file"),
        ("https://example.org/a.png", "the image is a URL"),
    ],
)
def test_invalid_image_arguments_are_refused_before_sending(
    serve: Serve, connect: Connect, image: Any, words: str
) -> None:
    server = serve(Say(body=ONE))
    with pytest.raises(InvalidArgument, match=words):
        connect(server.url).predict("pets", image)
    assert server.seen == []


def test_a_damaged_file_behind_a_picture_is_refused(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    with Image.open(tmp_path / "half.png") as picture, pytest.raises(InvalidArgument, match="cannot be encoded"):
        connect(serve(Say(body=ONE)).url).predict("pets", picture)


@pytest.mark.parametrize("request_id", ["", "a\r\nX-Evil: 1", "ü", " a"])
def test_a_request_id_that_no_header_can_carry_is_refused(serve: Serve, connect: Connect, request_id: str) -> None:
    with pytest.raises(InvalidArgument, match="is not allowed in a header"):
        connect(serve(Say(body=ONE)).url).predict("pets", PNG, request_id=request_id)


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (("127.0.0.1:8080",), {}, "has no scheme or no host"),
        (("ftp://example.org",), {}, "has no scheme or no host"),
        (("http://a", "two\nlines"), {}, "the token has characters"),
        (("http://a", ""), {}, "the token has characters"),
        (("http://a",), {"timeout": 0}, "timeout is 0"),
        (("http://a",), {"deadline": float("nan")}, "deadline is nan"),
        (("http://a",), {"retries": -1}, "retries is -1"),
    ],
)
def test_a_client_that_cannot_work_is_not_made(
    connect: Connect, arguments: tuple[str, ...], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words):
        connect(*arguments, **settings)


def test_connections_are_kept(serve: Serve, connect: Connect) -> None:
    refusal = Say(415, {"code": 415, "type": "UnsupportedImage", "message": "no"})
    server = serve(Say(body=ONE), Say(body=TWO, chunked=True), refusal, Say(body=ONE))
    client = connect(server.url)
    client.predict("pets", PNG)
    client.predict("pets", [PNG, PNG])
    with pytest.raises(TorchlightError, match="415 UnsupportedImage: no"):
        client.predict("pets", PNG)
    client.predict("pets", PNG)
    assert len({seen.port for seen in server.seen}) == 1


def test_cookies_are_not_kept(serve: Serve, connect: Connect) -> None:
    server = serve(Say(body=ONE, headers={"Set-Cookie": "a=b"}))
    client = connect(server.url)
    client.predict("pets", PNG)
    client.predict("pets", PNG)
    assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]
