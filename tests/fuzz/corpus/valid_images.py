"""Small good images in every supported format. Bad images are made from these."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from typing import Any

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@cache
def good_images() -> tuple[bytes, ...]:
    """Return JPEG, PNG and WebP in all color modes and codings."""
    return (*jpegs(), *pngs(), *webps())


@cache
def jpegs() -> tuple[bytes, ...]:
    """Return JPEGs: baseline and progressive, gray, RGB and CMYK, with and without metadata."""
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    exif[0x010E] = "a description"
    return (
        encode(gradient_image(96, 80), "JPEG"),
        encode(gradient_image(70, 64), "JPEG", progressive=True),
        encode(gradient_image(64, 90).convert("L"), "JPEG", quality=40),
        encode(gradient_image(48, 48).convert("CMYK"), "JPEG"),
        encode(gradient_image(80, 60), "JPEG", exif=exif, comment=b"a comment", subsampling="4:2:0"),
    )


@cache
def pngs() -> tuple[bytes, ...]:
    """Return a PNG of each color type and depth."""
    rgb = gradient_image(72, 60)
    gray16 = np.asarray(rgb.convert("L"), np.uint16) * 257
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L"))
    converted = [rgb.convert(mode) for mode in ("P", "1", "LA")]
    images = (rgb.convert("L"), rgb, rgba, *converted, Image.fromarray(gray16))
    return tuple(encode(image, "PNG") for image in images)


@cache
def webps() -> tuple[bytes, ...]:
    """Return WebPs: lossy and lossless, with and without transparency."""
    rgba = gradient_image(66, 50)
    rgba.putalpha(rgba.convert("L"))
    return (
        encode(gradient_image(90, 70), "WEBP"),
        encode(gradient_image(40, 50), "WEBP", lossless=True),
        encode(rgba, "WEBP"),
    )


def gradient_image(width: int, height: int) -> Image.Image:
    """Return a gradient with noise. No coefficient of a codec is zero."""
    noise = np.random.default_rng(width * height).integers(0, 40, (height, width, 3))
    slopes = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 90, width))[..., None]
    return Image.fromarray((noise + slopes).astype(np.uint8))


def encode(image: Image.Image, format_name: str, **options: Any) -> bytes:
    """Return an image file as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG, with a right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk, as far as the lengths are valid."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def join_png(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return chunks as a file with right lengths and checksums, so that a decoder reads changed content."""
    return PNG_SIGNATURE + b"".join(png_chunk(kind, content) for kind, content in chunks)


def any_image(rng: Random) -> bytes:
    """Return one of the good images."""
    return rng.choice(good_images())
