"""Decompression bombs: small files that declare a large size, or that cost far more to read than their bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

from PIL import Image

from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import NATIVE, content_type, file_part, form, form_type, on_any_route
from tests.fuzz.corpus.valid_images import PNG_SIGNATURE, encode, join_png, jpegs, png_chunk, png_chunks, pngs, webps

END = png_chunk(b"IEND", b"")
# Over 25,000,000 pixels, or over 65,535 on a side, or no pixels.
SIZES = (
    (5_001, 5_000),
    (65_535, 65_535),
    (2**31 - 1, 2**31 - 1),
    (2**32 - 1, 1),
    (1, 2**31),
    (30_000_000, 1),
    (0, 0),
    (0, 9),
)


def huge_png(rng: Random, index: int) -> FuzzRequest:
    """Send a PNG that declares more pixels than are allowed."""
    width, height = pick_case(SIZES, index)
    bits, color = rng.choice(((8, 0), (8, 2), (16, 6), (1, 0), (8, 3)))
    data = png_chunk(b"IDAT", zlib.compress(bytes(rng.choice((0, 10, 100_000)))))
    return on_any_route(rng, f"PNG of {width} x {height}", _header(width, height, bits, color) + data + END)


def huge_jpeg(rng: Random, index: int) -> FuzzRequest:
    """Send a good JPEG with another size in its frame header."""
    width, height = pick_case(
        ((65_500, 65_500), (65_535, 65_535), (65_535, 400), (5_001, 5_000), (0, 0), (0, 100)), index
    )
    content = rng.choice(jpegs())
    frame = next(at for at in range(len(content)) if content[at] == 0xFF and content[at + 1] in (0xC0, 0xC1, 0xC2))
    changed = content[: frame + 5] + struct.pack(">HH", height, width) + content[frame + 9 :]
    return on_any_route(rng, f"JPEG of {width} x {height}", changed)


def huge_webp(rng: Random, index: int) -> FuzzRequest:
    """Send a WebP of each of the three kinds with another size in its header."""
    size = 16_383
    kind, content = pick_case((("VP8", webps()[0]), ("VP8L", webps()[1]), ("VP8X", webps()[2])), index)
    changed = bytearray(content)
    if kind == "VP8":
        changed[26:30] = struct.pack("<HH", size, size)
    elif kind == "VP8L":
        changed[21:25] = struct.pack("<I", size | size << 14)
    else:
        changed[24:30] = (size.to_bytes(3, "little")) * 2
    return on_any_route(rng, f"WebP ({kind}) of {size} x {size}", bytes(changed))


def heavy(rng: Random, index: int) -> FuzzRequest:
    """Send an expensive image at the limits, or just above them. The server may accept a complete file."""
    case, content, accepted = pick_case(
        (
            ("many scans", many_scans(5_000, 50_000), REFUSED),
            ("25 Mpx of nothing", blank(5_000, 5_000), REFUSED_OR_OK),
            ("25 Mpx and a row", blank(5_000, 5_001), REFUSED),
            ("a line of 25 Mpx", blank(1, 25_000_000), REFUSED_OR_OK),
            ("25 Mpx declared, 99 bytes of data", _header(5_000, 5_000, 8, 2) + _data(99) + END, REFUSED),
            ("65,535 gray pixels of 16 bits in a row", blank(65_535, 1, 16), REFUSED_OR_OK),
        ),
        index,
    )
    return on_any_route(rng, case, content, accepted)


def many_pixels(rng: Random, index: int) -> FuzzRequest:
    """Send images that are each allowed, but together exceed the limits or just meet them."""
    count, width, height, accepted = pick_case(
        (
            (64, 1_300, 1_300, REFUSED),
            (65, 8, 8, REFUSED),
            (5, 4_900, 4_900, REFUSED),
            (64, 1_200, 1_200, REFUSED_OR_OK),
            (4, 1, 25_000_000, REFUSED_OR_OK),
        ),
        index,
    )
    body = form([(file_part(f"image{n}"), blank(width, height)) for n in range(count)])
    case = f"{count} images of {width} x {height}"
    return FuzzRequest(case, rng.choice(NATIVE), content_type(form_type()), body, accepted)


def stuffed(rng: Random, index: int) -> FuzzRequest:
    """Send a good image with metadata that inflate to a large size, or with very many metadata entries."""
    name = pick_case((*EXTRA_CHUNKS, *EXTRA_SEGMENTS), index)
    if name in EXTRA_CHUNKS:
        header, *chunks = png_chunks(rng.choice(pngs()))
        content = join_png([header]) + EXTRA_CHUNKS[name](rng) + join_png(chunks)[len(PNG_SIGNATURE) :]
    else:
        content = rng.choice(jpegs())
        content = content[:2] + EXTRA_SEGMENTS[name](rng) + content[2:]
    return on_any_route(rng, name, content, REFUSED_OR_OK)


def animated(rng: Random, index: int) -> FuzzRequest:
    """Send an image with several frames. It is unclear which frame to classify."""
    frames = 2 + index % 3 * 30
    images = [Image.new("RGB", (32, 24), (n, 255 - n, rng.randrange(256))) for n in range(frames)]
    kind = rng.choice(("PNG", "WEBP", "GIF"))
    content = encode(images[0], kind, save_all=True, append_images=images[1:], duration=40)
    return on_any_route(rng, f"{kind} of {frames} frames", content)


@cache
def _many(count: int, kind: bytes, content: bytes) -> bytes:
    """Return chunks that differ only in a number."""
    return b"".join(png_chunk(kind, content.replace(b"%d", b"%d" % n)) for n in range(count))


@cache
def _packed(count: int) -> bytes:
    return zlib.compress(bytes(count))


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


EXTRA_CHUNKS: dict[str, Callable[[Random], bytes]] = {
    "iCCP": lambda _: png_chunk(b"iCCP", b"icc\0\0" + _packed(60_000_000)),
    "zTXt": lambda _: png_chunk(b"zTXt", b"Comment\0\0" + _packed(60_000_000)),
    "iTXt": lambda _: png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + _packed(60_000_000)),
    "2,000 zTXt of 900 kB": lambda _: _many(2_000, b"zTXt", b"key%d\0\0" + _packed(900_000)),
    "50,000 tEXt": lambda _: _many(50_000, b"tEXt", b"k%d\0v"),
    "100,000 empty chunks": lambda _: png_chunk(b"abCd", b"") * 100_000,
    "100,000 IDAT": lambda _: png_chunk(b"IDAT", b"") * 100_000,
    "a broken eXIf": lambda rng: png_chunk(b"eXIf", b"II*\0" + rng.randbytes(500)),
    "a gamma of 0": lambda _: png_chunk(b"gAMA", bytes(4)),
    "acTL of 2^32-1 frames": lambda _: png_chunk(b"acTL", b"\xff" * 8),
    "half an acTL": lambda _: png_chunk(b"acTL", b"\0"),
}
EXTRA_SEGMENTS: dict[str, Callable[[Random], bytes]] = {
    "90 profiles": lambda _: b"".join(
        _segment(0xE2, b"ICC_PROFILE\0" + bytes((n % 9, 255)) + bytes(60_000)) for n in range(90)
    ),
    "a broken EXIF": lambda rng: _segment(
        0xE1, b"Exif\0\0" + rng.choice((b"II*\0", b"MM\0*", b"")) + rng.randbytes(300)
    ),
    "1,000 comments": lambda rng: _segment(0xFE, rng.randbytes(9)) * 1_000,
    "a restart after each block": lambda _: _segment(0xDD, b"\0\1"),
}


@cache
def blank(width: int, height: int, bits: int = 8) -> bytes:
    """Return a complete gray PNG of this size in very few bytes."""
    row = bytes(1 + width * bits // 8)
    return _header(width, height, bits, 0) + png_chunk(b"IDAT", zlib.compress(row * height)) + END


@cache
def many_scans(side: int, scans: int) -> bytes:
    """Return a gray progressive JPEG. Each of its scans says, in 23 bytes, that no block changes.

    A decoder visits all blocks for each scan. That takes 2.5 ms for 25 million pixels: two minutes for 50,000 scans.
    """
    blocks = ((side + 7) // 8) ** 2
    # Huffman code 0 is symbol 0xE0: the band ends for 2^14 blocks, plus the number in the next 14 bits.
    bits = ("0" + "1" * 14) * -(-blocks // 32_767)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    scan = _segment(0xDA, bytes((1, 1, 0x00, 1, 63, 0))) + data
    tables = (
        _segment(0xDB, b"\0" + bytes([16] * 64))
        + _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes((1, 0x11, 0)))
        + _segment(0xC4, b"\x00\x01" + bytes(15) + b"\x00")
        + _segment(0xC4, b"\x10\x01" + bytes(15) + b"\xe0")
    )
    return b"\xff\xd8" + tables + scan * scans + b"\xff\xd9"


def _header(width: int, height: int, bits: int, color: int) -> bytes:
    palette = png_chunk(b"PLTE", b"\0\0\0") if color == 3 else b""
    return PNG_SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)) + palette


def _data(count: int) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(bytes(count)))
