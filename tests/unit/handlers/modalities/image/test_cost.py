"""Refusals before parsing and decoding, of what would cost too much."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handlers.classifier import Classifier
from handlers.errors import BadJSON, CorruptImage
from handlers.modalities.image import cost, images
from handlers.protocols.multipart import Part
from handlers.request import RawRequest, parse
from handlers.torchserve_handler import COST_HEADER, ImageClassifier
from models.card import Limits
from serving.proxy import haproxy
from tests.unit.handlers.asking import respond
from tests.unit.handlers.torchserve.stand_in import ask


def encoded(format_: str, side: int, mode: str = "RGB", **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, format_, **how)
    return buffer.getvalue()


def estimate(content: bytes) -> float:
    return cost.decode_ms(images.open(content))


def test_estimate_grows_with_pixels_and_differs_by_format() -> None:
    assert estimate(encoded("PNG", 2_000)) == pytest.approx(4 * estimate(encoded("PNG", 1_000)))
    assert estimate(encoded("WEBP", 2_000, lossless=True)) > 80
    assert estimate(encoded("JPEG", 3_000)) < cost.HEAVY_MS, "a photo is decoded smaller"
    assert estimate(encoded("JPEG", 3_000, progressive=True)) > cost.HEAVY_MS
    assert estimate(encoded("PNG", 1_000, "RGBA")) > estimate(encoded("PNG", 1_000, "L"))


@pytest.mark.usefixtures("service")
def test_heavy_image_is_handed_on_where_the_front_proxy_can_move_it(handler: ImageClassifier) -> None:
    heavy, light = encoded("PNG", 1_500), encoded("PNG", 20)
    movable = {"X-Torchlight-Movable": "1", "X-Torchlight-Start": "1"}
    through_proxy = {"X-Torchlight-Start": "1"}
    _, context = ask(
        handler,
        ({"body": heavy}, movable),
        ({"body": light}, movable),
        ({"body": heavy}, through_proxy),
        ({"body": heavy}, {}),
    )
    assert [context.statuses[place][0] for place in range(4)] == [425, 200, 200, 200]
    costs = [context.response_headers[place].get(COST_HEADER) for place in range(4)]
    assert costs[1] is None, "it was light"
    assert costs[2] is not None
    assert int(costs[2]) >= cost.LIGHT_SECONDS * 1000 == haproxy.LIGHT_MS
    assert costs[3] is None, "no proxy asked for it"


def test_images_that_are_heavy_together_are_handed_on(classifier: Classifier) -> None:
    part = encoded("PNG", 700)
    names = ("a", "b", "c", "d")
    incoming = RawRequest("predict", tuple(Part(name, part) for name in names), {cost.MOVABLE_HEADER: "1"})
    (answer,) = respond(classifier, [incoming])
    assert answer.status == 425
    (alone,) = respond(classifier, [RawRequest("predict", (Part("a", part),), {cost.MOVABLE_HEADER: "1"})])
    assert alone.status == 200


@pytest.mark.parametrize("document", [b'{"instances":[%s]}', b'{"inputs":[%s]}', b'{"image":"","x":[%s]}'])
@pytest.mark.parametrize("element", [b"[]", b"{}", b"[[]]"])
def test_json_of_too_many_lists_is_refused_before_it_is_parsed(document: bytes, element: bytes) -> None:
    body = document % b",".join([element] * 1_000)
    with pytest.raises(BadJSON, match="lists and objects: at most 500 are accepted"):
        parse(RawRequest("predict", (Part("body", body, "application/json"),), {}), Limits(max_json_lists=500))


def test_json_with_as_many_lists_as_allowed_is_taken() -> None:
    body = b'{"instances":[' + b",".join([b"[[1,2],[3,4]]"] * 33) + b"]}"  # 1 + 1 + 33 * 3
    incoming = RawRequest("predict", (Part("body", body, "application/json"),), {})
    assert len(parse(incoming, Limits(max_json_lists=101)).images) == 33
    with pytest.raises(BadJSON, match="the JSON has 101 lists and objects: at most 100"):
        parse(incoming, Limits(max_json_lists=100))


def test_png_whose_text_becomes_large_is_refused() -> None:
    info = PngInfo()
    for number in range(3):
        info.add_text(f"key{number}", "a" * 500_000, zip=True)
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "PNG", pnginfo=info)
    with pytest.raises(CorruptImage, match="text"):
        images.open(buffer.getvalue())
