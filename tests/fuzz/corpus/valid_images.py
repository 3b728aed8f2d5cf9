"""Good images, small and of every kind that is accepted: what bad ones are made from."""

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
    """JPEG, PNG and WebP in all their colour modes and codings."""
    return (*jpegs(), *pngs(), *webps())


@cache
def jpegs() -> tuple[bytes, ...]:
    """Baseline and progressive, grey, RGB and CMYK, with and without metadata."""
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "a description"
    return (
        encode(picture(96, 80), "JPEG"),
        encode(picture(70, 64), "JPEG", progressive=True),
        encode(picture(64, 90).convert("L"), "JPEG", quality=40),
        encode(picture(48, 48).convert("CMYK"), "JPEG"),
        encode(picture(80, 60), "JPEG", exif=exif, comment=b"a comment", subsampling="4:2:0"),
    )


@cache
def pngs() -> tuple[bytes, ...]:
    """One of each colour type and depth."""
    rgb = picture(72, 60)
    wide = np.asarray(rgb.convert("L"), np.uint16) * 257
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L"))
    modes = (rgb.convert("L"), rgb, rgba, rgb.convert("P"), rgb.convert("1"), rgb.convert("LA"), Image.fromarray(wide))
    return tuple(encode(image, "PNG") for image in modes)


@cache
def webps() -> tuple[bytes, ...]:
    """Lossy and lossless, with and without transparency."""
    rgba = picture(66, 50)
    rgba.putalpha(rgba.convert("L"))
    return (
        encode(picture(90, 70), "WEBP"),
        encode(picture(40, 50), "WEBP", lossless=True),
        encode(rgba, "WEBP"),
    )


def picture(width: int, height: int) -> Image.Image:
    """A gradient with noise: it has something in every coefficient of a codec."""
    noise = np.random.default_rng(width * height).integers(0, 40, (height, width, 3))
    slopes = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 90, width))[..., None]
    return Image.fromarray((noise + slopes).astype(np.uint8))


def encode(image: Image.Image, kind: str, **how: Any) -> bytes:
    """An image file as bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG, with its right checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk, as far as the lengths can be followed."""
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def join_png(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Chunks as a file, with right lengths and checksums: what was changed in them is then read, not just refused."""
    return PNG_SIGNATURE + b"".join(png_chunk(kind, inside) for kind, inside in chunks)


def any_image(rng: Random) -> bytes:
    """One of the good ones."""
    return rng.choice(good_images())
