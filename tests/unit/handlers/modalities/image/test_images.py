from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.errors import CorruptImage, ImageTooLarge, MissingImage, UnsupportedImage
from handlers.modalities.image import images
from models.card import Input, Limits

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
TRANSPARENT = (255, 0, 0, 0)
SPEC = Input(size=4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))


def encoded(image: Image.Image, format: str = "PNG", **how: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 60).convert("RGB")


def decoded(content: Any, **how: Any) -> Image.Image:
    """Return the decoded image, to be looked at."""
    picture = images.decode(content, **how)
    return Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture


def declared(width: int, height: int) -> bytes:
    """A tiny PNG that says it has this many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("format_", "how"), [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100})])
def test_the_three_formats_are_decoded(format_: str, how: dict[str, Any]) -> None:
    image = decoded(encoded(Image.new("RGB", (30, 20), RED), format_, **how))
    assert (image.mode, image.size) == ("RGB", (30, 20))
    red, green, blue = image.getpixel((15, 10))
    assert red >= 253
    assert max(green, blue) <= 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_is_decoded(kind: type) -> None:
    assert decoded(kind(encoded(Image.new("RGB", (3, 2), BLUE)))).getpixel((0, 0)) == BLUE


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_photo_taken_sideways_is_put_upright(format_: str) -> None:
    lying = Image.new("RGB", (64, 32), BLUE)
    lying.paste(RED, (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    image = decoded(encoded(lying, format_, exif=exif))
    assert image.size == (32, 64)
    top, bottom = image.getpixel((16, 8)), image.getpixel((16, 56))
    assert (top[0] > 200, top[2] < 50) == (True, True)
    assert (bottom[0] < 50, bottom[2] > 200) == (True, True)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"", b"garbage", b"Exif\x00\x00", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"])
def test_broken_exif_data_leave_the_picture_as_it_lies(exif: bytes) -> None:
    assert decoded(encoded(Image.new("RGB", (64, 32), BLUE), "JPEG", exif=exif)).size == (64, 32)


def test_damaged_exif_data_does_not_refuse_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(image: Image.Image) -> None:
        raise struct.error

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fails)
    assert decoded(encoded(Image.new("RGB", (3, 2), BLUE))).getpixel((0, 0)) == BLUE


@pytest.mark.parametrize("step", ["Image.open", "PngImagePlugin.PngImageFile.load"])
def test_want_of_memory_is_not_the_images_fault(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **named: Any) -> None:
        raise MemoryError

    content = encoded(noise(9, 9))
    monkeypatch.setattr(f"PIL.{step}", fails)
    with pytest.raises(MemoryError):
        decoded(content)


@pytest.mark.parametrize(("value", "gray"), [(0, 0), (257, 1), (32768, 128), (40000, 156), (65535, 255)])
def test_sixteen_bit_gray_is_scaled_not_clipped(value: int, gray: int) -> None:
    image = decoded(encoded(Image.new("I;16", (4, 4), value)))
    assert (image.mode, image.getpixel((1, 1))) == ("L", gray)


def test_a_palette_becomes_its_colors() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert decoded(encoded(image)).getpixel((0, 0)) == (10, 200, 30)


def test_cmyk_becomes_rgb() -> None:
    image = decoded(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert image.mode == "RGB"
    red, green, blue = image.getpixel((8, 8))
    assert red >= 250
    assert max(green, blue) <= 5


def test_gray_stays_gray_and_black_and_white_becomes_rgb() -> None:
    assert decoded(encoded(Image.new("L", (4, 4), 77))).getpixel((0, 0)) == 77
    assert decoded(encoded(Image.new("1", (4, 4), 1))).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_transparency_is_laid_on_white(format_: str) -> None:
    how = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    image = decoded(encoded(Image.new("RGBA", (4, 4), TRANSPARENT), format_, **how))
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", WHITE)


def test_half_transparent_black_becomes_gray() -> None:
    assert decoded(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)))).getpixel((0, 0)) == (127, 127, 127)
    assert decoded(encoded(Image.new("LA", (4, 4), (0, 128)))).getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(("mode", "color"), [("P", 0), ("L", 10), ("RGB", (10, 20, 30)), ("I;16", 40000)])
def test_a_color_that_a_png_declares_transparent_is_laid_on_white(mode: str, color: Any) -> None:
    content = encoded(Image.new(mode, (4, 4), color), transparency=color)
    assert decoded(content).convert("RGB").getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_an_animation_is_refused(format_: str) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, BLUE)]
    with pytest.raises(UnsupportedImage, match=f"the {format_} image is animated") as raised:
        decoded(encoded(frames[0], format_, save_all=True, append_images=frames[1:]))
    assert raised.value.status == 415


def test_multi_picture_jpeg_of_a_phone_gives_its_photo() -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, BLUE)]
    image = decoded(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert image.getpixel((8, 8))[0] > 250


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("RGB", (4, 4)), "GIF"),
        encoded(Image.new("RGB", (4, 4)), "BMP"),
        encoded(Image.new("RGB", (4, 4)), "TIFF"),
        b"just some text",
        b"<html></html>",
        b"\x00",
    ],
    ids=["GIF", "BMP", "TIFF", "text", "HTML", "zero"],
)
def test_other_formats_are_refused_with_their_first_bytes(content: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="JPEG, PNG or WebP image") as raised:
        decoded(content)
    assert raised.value.status == 415
    assert repr(content[:12]) in str(raised.value)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_image_cut_short_is_refused(format_: str, share: float) -> None:
    content = encoded(noise(100, 80), format_)
    with pytest.raises(CorruptImage) as raised:
        decoded(content[: int(len(content) * share)])
    assert raised.value.status == 422


@pytest.mark.parametrize(("format_", "length"), [("JPEG", 20), ("JPEG", 100), ("PNG", 20), ("PNG", 40), ("WEBP", 20)])
def test_an_image_cut_within_its_header_is_damaged_and_not_of_another_format(format_: str, length: int) -> None:
    with pytest.raises(CorruptImage):
        decoded(encoded(noise(40, 30), format_)[:length])


def test_a_corrupt_image_is_refused() -> None:
    content = bytearray(encoded(noise(40, 30)))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(CorruptImage, match="the PNG image is cut short or corrupt"):
        decoded(content)


def test_empty_body_is_not_an_image() -> None:
    with pytest.raises(MissingImage, match="0 bytes") as raised:
        decoded(b"")
    assert raised.value.status == 400


def test_too_many_bytes_are_refused_whatever_they_are() -> None:
    with pytest.raises(ImageTooLarge, match="has 6,000,001 bytes: at most 6,000,000") as raised:
        decoded(bytes(images.LIMITS.max_bytes + 1))
    assert raised.value.status == 413
    with pytest.raises(UnsupportedImage):
        decoded(bytes(images.LIMITS.max_bytes))


@pytest.mark.parametrize(("width", "height"), [(16_000, 16_000), (10_000, 10_000), (5_001, 5_000), (16_384, 1_526)])
def test_too_many_pixels_are_refused_before_any_is_decoded(width: int, height: int) -> None:
    # Decoded, they would be found cut short: a CorruptImage.
    with pytest.raises(ImageTooLarge, match="25,000,000") as raised:
        decoded(declared(width, height))
    assert raised.value.status == 413


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (16_385, 1), (1, 25_000_000)])
def test_too_long_a_side_is_refused_before_any_pixel_is_decoded(width: int, height: int) -> None:
    with pytest.raises(ImageTooLarge, match="16,384 on a side"):
        decoded(declared(width, height))


def test_image_of_exactly_the_pixel_limit_is_decoded() -> None:
    with pytest.raises(CorruptImage):
        decoded(declared(5_000, 5_000))


def test_other_limits_take_the_place_of_those() -> None:
    content = encoded(Image.new("RGB", (30, 20)))
    assert decoded(content, limits=Limits(max_bytes=len(content), max_pixels=600)).size == (30, 20)
    with pytest.raises(ImageTooLarge, match=rf"has {len(content)} bytes: at most {len(content) - 1} are"):
        decoded(content, limits=Limits(max_bytes=len(content) - 1))
    with pytest.raises(ImageTooLarge, match=r"has 30 x 20 pixels: at most 599 in all are"):
        decoded(content, limits=Limits(max_pixels=599))


@pytest.mark.parametrize(
    ("shape", "color", "seen"),
    [
        ((2, 3), 7, 7),
        ((2, 3, 1), (7,), 7),
        ((2, 3, 3), (1, 2, 3), (1, 2, 3)),
        ((2, 3, 4), (1, 2, 3, 255), (1, 2, 3)),
        ((2, 3, 4), (1, 2, 3, 0), WHITE),
    ],
)
def test_an_array_is_a_picture(shape: tuple[int, ...], color: Any, seen: Any) -> None:
    picture = images.from_array(np.full(shape, color, np.uint8))
    assert (picture.mode, picture.size) == ("L" if isinstance(seen, int) else "RGB", (3, 2))
    assert {picture.getpixel((x, y)) for x in range(3) for y in range(2)} == {seen}


@pytest.mark.parametrize(
    ("size", "seen"), [((1024, 512), (512, 256)), ((512, 512), (512, 512)), ((9, 5), (9, 5)), ((2, 5000), (1, 512))]
)
def test_a_view_is_at_most_so_large(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert images.view(Image.new("RGB", size, RED), SPEC).image.size == seen


def test_pixels_are_channels_first_rows_from_the_top() -> None:
    picture = Image.new("RGB", (4, 4))
    picture.putpixel((3, 1), (10, 20, 30))  # column 3, row 1
    found = images.pixels(picture, SPEC)
    assert (found.dtype, found.shape) == (torch.uint8, (3, 4, 4))
    assert found[:, 1, 3].tolist() == [10, 20, 30]
    assert int(found.sum()) == 60


def test_any_picture_is_stretched_to_the_square() -> None:
    picture = Image.new("RGB", (80, 20), BLUE)
    picture.paste(RED, (0, 0, 40, 20))
    found = images.pixels(picture, SPEC)
    # Triangles of two output pixels' width: the second one reaches over the edge with an eighth of its weight.
    assert found[0].tolist() == [[255, 223, 32, 0]] * 4
    assert found[2].tolist() == [[0, 32, 223, 255]] * 4


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    checks = Image.new("RGB", (64, 64))
    checks.putdata([WHITE if (place % 64 + place // 64) % 2 else (0, 0, 0) for place in range(64 * 64)])
    found = images.pixels(checks, SPEC).float()
    assert 125 <= found.min() <= found.max() <= 130


def test_normalized_values_are_those_computed_by_hand() -> None:
    batch = torch.tensor([0, 51, 255], dtype=torch.uint8).repeat(1, 3, 1, 1)
    values = images.normalize(batch, SPEC)
    assert values.dtype == torch.float32
    assert values[0, :, 0].tolist() == [
        pytest.approx([-1.0, -0.6, 1.0]),
        pytest.approx([-1.0, -0.2, 3.0]),
        pytest.approx([0.0, 0.2, 1.0]),
    ]


def test_a_batch_is_every_picture_in_order() -> None:
    pictures = [Image.new("RGB", (9, 5), RED), Image.new("RGB", (2, 7), BLUE)]
    batch = images.batch([images.pixels(picture, SPEC) for picture in pictures], SPEC, torch.device("cpu"))
    assert (batch.dtype, batch.shape) == (torch.float32, (2, 3, 4, 4))
    assert batch[0, :, 2, 2].tolist() == pytest.approx([1.0, -1.0, 0.0])
    assert batch[1, :, 2, 2].tolist() == pytest.approx([-1.0, -1.0, 1.0])
