"""Files in unsupported formats, and polyglot files that are valid in two formats."""

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

from tests.fuzz.corpus.request import REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import on_any_route
from tests.fuzz.corpus.valid_images import encode, gradient_image, jpegs, pngs, webps

SERVED = {"JPEG", "PNG", "WEBP", "MPO"}  # the first frame of an MPO is an ordinary photo
EPOCH = time.gmtime(0)
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9"/></svg>'
# First bytes of the formats that Pillow cannot write.
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


def foreign(rng: Random, index: int) -> FuzzRequest:
    """Send an unsupported format: a complete file if Pillow can write it, else its first bytes and noise."""
    written = _written()
    case = pick_case((*written, *MAGIC), index)
    content = written[case] if case in written else MAGIC[case] + rng.randbytes(rng.choice((0, 500)))
    return on_any_route(rng, case, content)


def disguised(rng: Random, index: int) -> FuzzRequest:
    """Send the first bytes of one format before a complete file of another. The first bytes decide the format."""
    image = rng.choice((*jpegs(), *pngs(), *webps()))
    case, content = pick_case(
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
        index,
    )
    return on_any_route(rng, case, content)


def polyglot(rng: Random, index: int) -> FuzzRequest:
    """Send a complete image with other content after or inside it. The server may accept it, but must not run it."""
    image = rng.choice((*jpegs(), *pngs(), *webps()))
    comment = b"\xff\xfe" + struct.pack(">H", len(HTML) + 2) + HTML
    case, content = pick_case(
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
        index,
    )
    return on_any_route(rng, case, content, REFUSED_OR_OK)


@cache
def _written() -> dict[str, bytes]:
    """Return a file of each unsupported format that Pillow can write."""
    Image.init()
    files = {}
    for kind in sorted(set(Image.SAVE) - SERVED):
        options: dict[str, Any] = {"creationDate": EPOCH, "modDate": EPOCH} if kind == "PDF" else {}
        for mode in ("RGB", "L", "P", "1", "F"):
            try:
                files[kind] = encode(gradient_image(32, 32).convert(mode), kind, **options)
            except Exception:  # each plugin raises its own type of error
                continue
            break
    return files


def _zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("image.png"), content)  # a ZipInfo has a fixed time
    return buffer.getvalue()


@cache
def _mpo() -> bytes:
    return encode(gradient_image(40, 30), "MPO", save_all=True, append_images=[gradient_image(30, 40)])
