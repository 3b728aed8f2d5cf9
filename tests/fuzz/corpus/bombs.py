"""Small files that say they are large, or that cost far more than their bytes to read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

from PIL import Image

from tests.fuzz.corpus.request import BAD, EITHER, WireRequest, in_turn
from tests.fuzz.corpus.routes import NATIVE, carried, file_part, form, form_type, typed
from tests.fuzz.corpus.valid_images import PNG_SIGNATURE, encode, join_png, jpegs, png_chunk, png_chunks, pngs, webps

END = png_chunk(b"IEND", b"")
# Over 25,000,000 pixels, or over 65,535 on a side, or none at all.
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


def huge_png(rng: Random, turn: int) -> WireRequest:
    """PNG that declares more pixels than are allowed."""
    width, height = in_turn(SIZES, turn)
    bits, colour = rng.choice(((8, 0), (8, 2), (16, 6), (1, 0), (8, 3)))
    data = png_chunk(b"IDAT", zlib.compress(bytes(rng.choice((0, 10, 100_000)))))
    return carried(rng, f"PNG of {width} x {height}", _header(width, height, bits, colour) + data + END)


def huge_jpeg(rng: Random, turn: int) -> WireRequest:
    """A good JPEG with another size in its frame header."""
    width, height = in_turn(((65_500, 65_500), (65_535, 65_535), (65_535, 400), (5_001, 5_000), (0, 0), (0, 100)), turn)
    content = rng.choice(jpegs())
    frame = next(at for at in range(len(content)) if content[at] == 0xFF and content[at + 1] in (0xC0, 0xC1, 0xC2))
    changed = content[: frame + 5] + struct.pack(">HH", height, width) + content[frame + 9 :]
    return carried(rng, f"JPEG of {width} x {height}", changed)


def huge_webp(rng: Random, turn: int) -> WireRequest:
    """WebP with another size in its header, of each of the three kinds."""
    size = 16_383
    kind, content = in_turn((("VP8", webps()[0]), ("VP8L", webps()[1]), ("VP8X", webps()[2])), turn)
    changed = bytearray(content)
    if kind == "VP8":
        changed[26:30] = struct.pack("<HH", size, size)
    elif kind == "VP8L":
        changed[21:25] = struct.pack("<I", size | size << 14)
    else:
        changed[24:30] = (size.to_bytes(3, "little")) * 2
    return carried(rng, f"WebP ({kind}) of {size} x {size}", bytes(changed))


def heavy(rng: Random, turn: int) -> WireRequest:
    """Within the limits, or just above them, and dear all the same. Where the file is whole, it may be answered."""
    case, content, accepted = in_turn(
        (
            ("many scans", many_scans(5_000, 50_000), BAD),
            ("25 Mpx of nothing", blank(5_000, 5_000), EITHER),
            ("25 Mpx and a row", blank(5_000, 5_001), BAD),
            ("a line of 25 Mpx", blank(1, 25_000_000), EITHER),
            ("25 Mpx declared, 99 bytes of data", _header(5_000, 5_000, 8, 2) + _data(99) + END, BAD),
            ("65,535 grey pixels of 16 bits in a row", blank(65_535, 1, 16), EITHER),
        ),
        turn,
    )
    return carried(rng, case, content, accepted)


def many_pixels(rng: Random, turn: int) -> WireRequest:
    """Images that are each allowed, and together are not, or barely."""
    count, width, height, accepted = in_turn(
        (
            (64, 1_300, 1_300, BAD),
            (65, 8, 8, BAD),
            (5, 4_900, 4_900, BAD),
            (64, 1_200, 1_200, EITHER),
            (4, 1, 25_000_000, EITHER),
        ),
        turn,
    )
    body = form([(file_part(f"image{n}"), blank(width, height)) for n in range(count)])
    case = f"{count} images of {width} x {height}"
    return WireRequest(case, rng.choice(NATIVE), typed(form_type()), body, accepted)


def stuffed(rng: Random, turn: int) -> WireRequest:
    """A good image with metadata that unpack to very much, or that there are very many of."""
    name = in_turn((*EXTRA_CHUNKS, *EXTRA_SEGMENTS), turn)
    if name in EXTRA_CHUNKS:
        head, *rest = png_chunks(rng.choice(pngs()))
        content = join_png([head]) + EXTRA_CHUNKS[name](rng) + join_png(rest)[len(PNG_SIGNATURE) :]
    else:
        content = rng.choice(jpegs())
        content = content[:2] + EXTRA_SEGMENTS[name](rng) + content[2:]
    return carried(rng, name, content, EITHER)


def animated(rng: Random, turn: int) -> WireRequest:
    """More frames than one: which is meant, nobody can know."""
    frames = 2 + turn % 3 * 30
    pictures = [Image.new("RGB", (32, 24), (n, 255 - n, rng.randrange(256))) for n in range(frames)]
    kind = rng.choice(("PNG", "WEBP", "GIF"))
    content = encode(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=40)
    return carried(rng, f"{kind} of {frames} frames", content)


@cache
def _many(count: int, kind: bytes, content: bytes) -> bytes:
    """Chunks that differ in a number only."""
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
    """A whole grey PNG of this size that is nearly nothing in bytes."""
    row = bytes(1 + width * bits // 8)
    return _header(width, height, bits, 0) + png_chunk(b"IDAT", zlib.compress(row * height)) + END


@cache
def many_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG whose every scan says, in 23 bytes, that nothing changes in any of its blocks.

    A decoder walks over all blocks for each: 2.5 ms for 25 million pixels, which makes 50,000 scans two minutes.
    """
    blocks = ((side + 7) // 8) ** 2
    # Huffman code 0 is symbol 0xE0: the band ends for 2^14 blocks, plus as many as the next 14 bits say.
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


def _header(width: int, height: int, bits: int, colour: int) -> bytes:
    palette = png_chunk(b"PLTE", b"\0\0\0") if colour == 3 else b""
    return PNG_SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)) + palette


def _data(count: int) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(bytes(count)))
