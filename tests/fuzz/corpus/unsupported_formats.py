"""Files that are no JPEG, PNG or WebP, and files that are two things at once."""

from __future__ import annotations

import base64
import io
import pickle
import struct
import time
import zipfile
from functools import cache
from random import Random
from typing import Any

from PIL import Image

from tests.fuzz.corpus.request import EITHER, WireRequest, in_turn
from tests.fuzz.corpus.routes import carried
from tests.fuzz.corpus.valid_images import encode, jpegs, picture, pngs, webps

SERVED = {"JPEG", "PNG", "WEBP", "MPO"}  # of an MPO, the first frame is a photo like any other
EPOCH = time.gmtime(0)
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
# What Pillow cannot write, by its first bytes.
MAGIC = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1",
    "JPEG XL": b"\xff\x0a\xfa\x1f\x41\x91\x08\x06",
    "JPEG XL, boxed": b"\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG-LS": b"\xff\xd8\xff\xf7\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0",
    "PSD": b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x09\0\0\0\x09\0\x08\0\x03",
    "EXR": b"v/1\x01\x02\0\0\0",
    "HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9 +X 9\n",
    "CR2": b"II*\0\x10\0\0\0CR\x02\0",
    "DICOM": bytes(128) + b"DICM",
    "FITS": b"SIMPLE  =                    T".ljust(2_880),
    "SVG": SVG,
    "HTML": HTML,
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0",
    "ELF": b"\x7fELF\x02\x01\x01",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "MP4": b"\0\0\0\x20ftypisom",
    "AVI": b"RIFF\x24\0\0\0AVI LIST",
    "WAV": b"RIFF\x24\0\0\0WAVEfmt ",
    "MP3": b"ID3\x04\0\0\0\0\0\0",
    "pickle": pickle.dumps({"image": [1, 2, 3]}),
    "a pickle that calls": b"cbuiltins\nexec\n(S'raise SystemExit'\ntR.",
    "text": b"not an image, just a sentence",
    "UTF-16": "not an image".encode("utf-16"),
    "a URL": b"http://127.0.0.1:8081/models",
    "a path": b"/etc/passwd",
    "zeros": bytes(1_000),
    "ones": b"\xff" * 1_000,
    "one byte": b"\x89",
}


def foreign(rng: Random, turn: int) -> WireRequest:
    """Another format: what Pillow can write, whole, and the rest by its first bytes with noise after them."""
    written = _written()
    case = in_turn((*written, *MAGIC), turn)
    return carried(rng, case, written[case] if case in written else MAGIC[case] + rng.randbytes(rng.choice((0, 500))))


def disguised(rng: Random, turn: int) -> WireRequest:
    """The first bytes of one format before the whole of another. The first bytes say what it is."""
    image = rng.choice((*jpegs(), *pngs(), *webps()))
    case, content = in_turn(
        (
            ("GIF + image", b"GIF89a" + image),
            ("PDF + image", MAGIC["PDF"] + image),
            ("ZIP + image", _zip(image) + image),
            ("HTML + image", HTML + image),
            ("BMP + image", b"BM" + image),
            ("a line end + image", b"\r\n" + image),
            ("PNG's signature + JPEG", pngs()[0][:8] + rng.choice(jpegs())),
            ("JPEG's start + PNG", b"\xff\xd8\xff" + rng.choice(pngs())),
            ("PNG in WebP", b"RIFF" + struct.pack("<I", len(pngs()[1]) + 4) + b"WEBP" + pngs()[1]),
            ("PNG with text line ends", pngs()[1].replace(b"\r\n", b"\n")),
            ("base64 of an image", base64.b64encode(image)),
            ("hexadecimal", image.hex().encode()),
            ("image in a ZIP", _zip(image)),
        ),
        turn,
    )
    return carried(rng, case, content)


def polyglot(rng: Random, turn: int) -> WireRequest:
    """A whole image with something else after or inside it: it may be answered, and must not be run."""
    image = rng.choice((*jpegs(), *pngs(), *webps()))
    comment = b"\xff\xfe" + struct.pack(">H", len(HTML) + 2) + HTML
    case, content = in_turn(
        (
            ("image + ZIP", image + _zip(b"x")),
            ("image + HTML", image + HTML),
            ("image + PHP", image + b"<?php system($_GET['c']); ?>"),
            ("image + image", image + image),
            ("image + ELF", image + MAGIC["ELF"] + rng.randbytes(2_000)),
            ("image + megabytes of zeros", image + bytes(3_000_000)),
            ("JPEG with HTML inside", jpegs()[0][:2] + comment + jpegs()[0][2:]),
            ("MPO", _mpo()),
        ),
        turn,
    )
    return carried(rng, case, content, EITHER)


@cache
def _written() -> dict[str, bytes]:
    """One file of each format that Pillow can write here and that is not served."""
    Image.init()
    found = {}
    for kind in sorted(set(Image.SAVE) - SERVED):
        dated: dict[str, Any] = {"creationDate": EPOCH, "modDate": EPOCH} if kind == "PDF" else {}
        for mode in ("RGB", "L", "P", "1", "F"):
            try:
                found[kind] = encode(picture(32, 32).convert(mode), kind, **dated)
            except Exception:  # each plugin refuses in its own way what it cannot write
                continue
            break
    return found


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("image.png"), content)  # a ZipInfo has no clock in it
    return buffer.getvalue()


@cache
def _mpo() -> bytes:
    return encode(picture(40, 30), "MPO", save_all=True, append_images=[picture(30, 40)])
