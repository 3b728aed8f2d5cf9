"""What is around a body: its type, its coding, its size. And requests that are hardly HTTP."""

from __future__ import annotations

import gzip
import zlib
from functools import cache
from random import Random

from tests.fuzz.corpus.request import BAD, EITHER, HUNG_UP, Headers, WireRequest, in_turn
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, dump, file_part, form, form_type, typed
from tests.fuzz.corpus.valid_images import any_image, pngs

IMAGE = pngs()[0]
DOCUMENT = dump({"image": b64(IMAGE)})
ROADS = (*NATIVE, *V1, *V2)
CHUNKED = ("Transfer-Encoding", "chunked")


def wrong_type(rng: Random, turn: int) -> WireRequest:
    """A body that is not what its content type says. An image is known by its first bytes, so 200 is fine for one."""
    image = any_image(rng)
    odd = (
        "text/html",
        "text/plain; charset=rubbish",
        "application/xml",
        "video/mp4",
        "image/",
        "/",
        ";",
        "image/png; charset=utf-8; charset=utf-16",
        "image/png, application/json",
        "\xff\xfe",
        "x" * 7_000,
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=rubbish",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "message/http",
        "application/zip",
    )
    cases: list[tuple[str, Headers, bytes, frozenset[int]]] = [
        (f"an image as {kind[:50]}", typed(kind), image, EITHER | {431}) for kind in odd
    ]
    cases += [
        ("an image as JSON", typed(JSON), image, BAD),
        ("an image as an array", typed("application/x-npy"), image, BAD),
        ("JSON as an image", typed("image/png"), DOCUMENT, EITHER),
        ("JSON as nothing", (), DOCUMENT, EITHER),
        ("JSON as text", typed("text/json"), DOCUMENT, EITHER),
        ("JSON of a kind", typed("application/vnd.api+json"), DOCUMENT, EITHER),
        ("JSON in a charset", typed("application/json; charset=rubbish"), DOCUMENT, EITHER),
        ("JSON in capitals", typed("APPLICATION/JSON"), DOCUMENT, EITHER),
        ("JSON as an array", typed("application/x-npy"), DOCUMENT, BAD),
        ("a form as JSON", typed(JSON), form([(file_part("a"), image)]), BAD),
        ("a form as an image", typed("image/png"), form([(file_part("a"), image)]), BAD),
        ("two types", (*typed("image/png"), *typed(JSON)), image, EITHER),
        ("two types, the other way", (*typed(JSON), *typed("image/png")), DOCUMENT, EITHER),
        ("words as a form", typed("application/x-www-form-urlencoded"), b"image=%89PNG&top_k=3", BAD),
        ("a broken form", typed("application/x-www-form-urlencoded"), b"%zz=%&&&=", BAD),
    ]
    case, headers, body, accepted = in_turn(cases, turn)
    return WireRequest(case, rng.choice(NATIVE), headers, body, accepted)


def encoded(rng: Random, turn: int) -> WireRequest:
    """Content codings: unpacked or refused, but neither guessed nor fatal."""
    image = any_image(rng)
    cases: tuple[tuple[str, str, str, bytes, frozenset[int]], ...] = (
        ("gzip", "gzip", "image/png", gzip.compress(image, mtime=0), EITHER),
        ("gzip of JSON", "gzip", JSON, gzip.compress(DOCUMENT, mtime=0), EITHER),
        ("a gzip bomb", "gzip", "image/png", _gzip_bomb(), BAD),
        ("a gzip bomb of JSON", "gzip", JSON, _gzip_bomb(), BAD),
        ("deflate", "deflate", "image/png", zlib.compress(image), EITHER),
        ("half a gzip", "gzip", "image/png", gzip.compress(image, mtime=0)[:-9], BAD),
        ("gzip that is none", "gzip", "image/png", image, EITHER),
        ("br that is none", "br", JSON, DOCUMENT, EITHER),
        ("a coding that is none", "rubbish", "image/png", image, EITHER),
        ("ten codings", ", ".join(["gzip"] * 10), "image/png", image, EITHER),
        ("gzip, unsaid", "", "image/png", gzip.compress(image, mtime=0), BAD),
    )
    case, coding, kind, body, accepted = in_turn(cases, turn)
    headers = typed(kind) + ((("Content-Encoding", coding),) if coding else ())
    return WireRequest(case, rng.choice(NATIVE), headers, body, accepted)


def empty(rng: Random, turn: int) -> WireRequest:
    """Nothing at all, said in each way."""
    path = in_turn(ROADS, turn)
    kind = rng.choice(("image/png", "", JSON, "application/octet-stream", form_type(), "application/x-npy"))
    headers, body = rng.choice(((typed(kind), b""), ((*typed(kind), CHUNKED), b"0\r\n\r\n")))
    return WireRequest(f"nothing as {kind or 'nothing'} to {path}", path, headers, body)


def too_large(rng: Random, turn: int) -> WireRequest:
    """Over the 6 MB of an image, or over the 8.5 MB of a body. On what has no end in sight a server may hang up."""
    image = _padded(6_000_001)
    path = rng.choice(NATIVE)
    cases: tuple[tuple[str, str, Headers, bytes, frozenset[int]], ...] = (
        ("an image of 6 MB and a byte", path, typed("image/png"), image, BAD),
        ("6 MB and a byte of zeros", path, typed("image/png"), bytes(6_000_001), BAD),
        ("the same in a form", path, typed(form_type()), form([(file_part("a"), image)]), BAD),
        ("the same in JSON", path, typed(JSON), dump({"image": b64(image)}), BAD),
        ("the same in v1", V1[0], typed(JSON), dump({"instances": [b64(image)]}), BAD),
        ("just 6 MB", path, typed("image/png"), _padded(6_000_000), EITHER),
        ("8.5 MB and a byte", rng.choice(ROADS), typed("image/png"), bytes(8_500_001), BAD | HUNG_UP),
        ("8.5 MB and a byte of JSON", rng.choice(ROADS), typed(JSON), b" " * 8_500_001, BAD | HUNG_UP),
        (
            "8.5 MB and a byte of parts",
            path,
            typed(form_type()),
            form([(file_part("a"), bytes(8_500_001))]),
            BAD | HUNG_UP,
        ),
        ("9 MB in chunks", path, (*typed("image/png"), CHUNKED), chunks(bytes(9_000_000), 60_000), BAD | HUNG_UP),
        ("an image in chunks of a byte, cut", path, (*typed("image/png"), CHUNKED), chunks(IMAGE[:300], 1), BAD),
    )
    case, path, headers, body, accepted = in_turn(cases, turn)
    return WireRequest(case, path, headers, body, accepted)


def hardly_http(rng: Random, turn: int) -> WireRequest:
    """What a proxy and a server could read differently, or cannot read at all."""
    size = str(len(IMAGE))
    smuggled = b"0\r\n\r\nGET /models HTTP/1.1\r\nHost: x\r\n\r\n"
    cases: tuple[tuple[str, Headers, bytes], ...] = (
        ("two lengths", (("Content-Length", size), ("Content-Length", "1")), IMAGE),
        ("a length and chunks", (("Content-Length", "4"), CHUNKED), smuggled),
        ("chunks and a length", (CHUNKED, ("Content-Length", "4")), smuggled),
        ("two codings", (("Transfer-Encoding", "chunked, identity"),), chunks(IMAGE, 99)),
        ("a coding that is none", (("Transfer-Encoding", "xchunked"),), chunks(IMAGE, 99)),
        ("a coding after a tab", (("Transfer-Encoding", "\x0bchunked"),), chunks(IMAGE, 99)),
        ("a negative length", (("Content-Length", "-1"),), IMAGE),
        ("a length with a plus", (("Content-Length", f"+{size}"),), IMAGE),
        ("a length that is no number", (("Content-Length", "many"),), IMAGE),
        ("a length of 30 digits", (("Content-Length", "9" * 30),), IMAGE),
        ("chunks of no size", (CHUNKED,), b"zz\r\n" + IMAGE),
        ("chunks of a negative size", (CHUNKED,), b"-5\r\n" + IMAGE),
        ("chunks too large to say", (CHUNKED,), b"f" * 20 + b"\r\n" + IMAGE),
        ("chunks without line ends", (CHUNKED,), b"5\r\nabcdefgh"),
        ("a NUL in a header", (("X-Top-K", "1\0"),), IMAGE),
        ("a line end in a header", (("X-Top-K", "1\rX: 2"),), IMAGE),
        ("a header without a name", (("", "1"),), IMAGE),
        ("a name with a space", (("X Top K", "1"),), IMAGE),
        ("a name of bytes", (("X-\xff", "1"),), IMAGE),
        ("a header of 20 kB", (("X-Long", "x" * 20_000),), IMAGE),
        ("300 headers", tuple((f"X-{n}", str(n)) for n in range(300)), IMAGE),
        ("two hosts", (("Host", "a"), ("Host", "b")), IMAGE),
        ("a broken host", (("Host", "a/b@c\x01"),), IMAGE),
    )
    accepted = EITHER | HUNG_UP | {431, 501, 505}
    case, headers, body = in_turn(cases, turn)
    headers += typed("image/png")
    return WireRequest(case, NATIVE[0], headers, body, accepted, may_be_unreadable=True)


def chunks(content: bytes, size: int) -> bytes:
    """A body in transfer coding `chunked`."""
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


@cache
def _gzip_bomb() -> bytes:
    """50 MB in 50 kB."""
    return gzip.compress(bytes(50_000_000), mtime=0)


@cache
def _padded(size: int) -> bytes:
    """A whole PNG with zeros after it, to this many bytes."""
    return IMAGE + bytes(size - len(IMAGE))
