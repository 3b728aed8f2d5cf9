"""Wrong content types, content codings and sizes of a body, and requests that break the syntax of HTTP."""

from __future__ import annotations

import gzip
import zlib
from functools import cache
from random import Random

from tests.fuzz.corpus.request import CLOSED, REFUSED, REFUSED_OR_OK, FuzzRequest, Headers, pick_case
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, content_type, file_part, form, form_type, to_json
from tests.fuzz.corpus.valid_images import any_image, pngs

IMAGE = pngs()[0]
DOCUMENT = to_json({"image": b64(IMAGE)})
ALL_PATHS = (*NATIVE, *V1, *V2)
CHUNKED = ("Transfer-Encoding", "chunked")


def wrong_type(rng: Random, index: int) -> FuzzRequest:
    """Send a body that is not what its content type says. The server recognizes images by their first bytes."""
    image = any_image(rng)
    types = (
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
        (f"an image as {kind[:50]}", content_type(kind), image, REFUSED_OR_OK | {431}) for kind in types
    ]
    cases += [
        ("an image as JSON", content_type(JSON), image, REFUSED),
        ("an image as an array", content_type("application/x-npy"), image, REFUSED),
        ("JSON as an image", content_type("image/png"), DOCUMENT, REFUSED_OR_OK),
        ("JSON as nothing", (), DOCUMENT, REFUSED_OR_OK),
        ("JSON as text", content_type("text/json"), DOCUMENT, REFUSED_OR_OK),
        ("JSON of a kind", content_type("application/vnd.api+json"), DOCUMENT, REFUSED_OR_OK),
        ("JSON in a charset", content_type("application/json; charset=rubbish"), DOCUMENT, REFUSED_OR_OK),
        ("JSON in capitals", content_type("APPLICATION/JSON"), DOCUMENT, REFUSED_OR_OK),
        ("JSON as an array", content_type("application/x-npy"), DOCUMENT, REFUSED),
        ("a form as JSON", content_type(JSON), form([(file_part("a"), image)]), REFUSED),
        ("a form as an image", content_type("image/png"), form([(file_part("a"), image)]), REFUSED),
        ("two types", (*content_type("image/png"), *content_type(JSON)), image, REFUSED_OR_OK),
        ("two types, the other way", (*content_type(JSON), *content_type("image/png")), DOCUMENT, REFUSED_OR_OK),
        ("words as a form", content_type("application/x-www-form-urlencoded"), b"image=%89PNG&top_k=3", REFUSED),
        ("a broken form", content_type("application/x-www-form-urlencoded"), b"%zz=%&&&=", REFUSED),
    ]
    case, headers, body, accepted = pick_case(cases, index)
    return FuzzRequest(case, rng.choice(NATIVE), headers, body, accepted)


def encoded(rng: Random, index: int) -> FuzzRequest:
    """Send a content coding. The server may decode or refuse it, but must not guess or fail."""
    image = any_image(rng)
    cases: tuple[tuple[str, str, str, bytes, frozenset[int]], ...] = (
        ("gzip", "gzip", "image/png", gzip.compress(image, mtime=0), REFUSED_OR_OK),
        ("gzip of JSON", "gzip", JSON, gzip.compress(DOCUMENT, mtime=0), REFUSED_OR_OK),
        ("a gzip bomb", "gzip", "image/png", _gzip_bomb(), REFUSED),
        ("a gzip bomb of JSON", "gzip", JSON, _gzip_bomb(), REFUSED),
        ("deflate", "deflate", "image/png", zlib.compress(image), REFUSED_OR_OK),
        ("half a gzip", "gzip", "image/png", gzip.compress(image, mtime=0)[:-9], REFUSED),
        ("gzip that is none", "gzip", "image/png", image, REFUSED_OR_OK),
        ("br that is none", "br", JSON, DOCUMENT, REFUSED_OR_OK),
        ("a coding that is none", "rubbish", "image/png", image, REFUSED_OR_OK),
        ("ten codings", ", ".join(["gzip"] * 10), "image/png", image, REFUSED_OR_OK),
        ("gzip, unsaid", "", "image/png", gzip.compress(image, mtime=0), REFUSED),
    )
    case, coding, kind, body, accepted = pick_case(cases, index)
    headers = content_type(kind) + ((("Content-Encoding", coding),) if coding else ())
    return FuzzRequest(case, rng.choice(NATIVE), headers, body, accepted)


def empty(rng: Random, index: int) -> FuzzRequest:
    """Send an empty body, with each content type and framing."""
    path = pick_case(ALL_PATHS, index)
    kind = rng.choice(("image/png", "", JSON, "application/octet-stream", form_type(), "application/x-npy"))
    headers, body = rng.choice(((content_type(kind), b""), ((*content_type(kind), CHUNKED), b"0\r\n\r\n")))
    return FuzzRequest(f"nothing as {kind or 'nothing'} to {path}", path, headers, body)


def too_large(rng: Random, index: int) -> FuzzRequest:
    """Send an image over 6 MB, or a body over 8.5 MB. The server may close the connection on an overlong body."""
    image = _padded(6_000_001)
    path, chunked = rng.choice(NATIVE), (*content_type("image/png"), CHUNKED)
    cases: tuple[tuple[str, str, Headers, bytes, frozenset[int]], ...] = (
        ("an image of 6 MB and a byte", path, content_type("image/png"), image, REFUSED),
        ("6 MB and a byte of zeros", path, content_type("image/png"), bytes(6_000_001), REFUSED),
        ("the same in a form", path, content_type(form_type()), form([(file_part("a"), image)]), REFUSED),
        ("the same in JSON", path, content_type(JSON), to_json({"image": b64(image)}), REFUSED),
        ("the same in v1", V1[0], content_type(JSON), to_json({"instances": [b64(image)]}), REFUSED),
        ("just 6 MB", path, content_type("image/png"), _padded(6_000_000), REFUSED_OR_OK),
        ("8.5 MB and a byte", rng.choice(ALL_PATHS), content_type("image/png"), bytes(8_500_001), REFUSED | CLOSED),
        ("8.5 MB and a byte of JSON", rng.choice(ALL_PATHS), content_type(JSON), b" " * 8_500_001, REFUSED | CLOSED),
        (
            "8.5 MB and a byte of parts",
            path,
            content_type(form_type()),
            form([(file_part("a"), bytes(8_500_001))]),
            REFUSED | CLOSED,
        ),
        (
            "9 MB in chunks",
            path,
            chunked,
            chunks(bytes(9_000_000), 60_000),
            REFUSED | CLOSED,
        ),
        (
            "an image in chunks of a byte, cut",
            path,
            chunked,
            chunks(IMAGE[:300], 1),
            REFUSED,
        ),
    )
    case, path, headers, body, accepted = pick_case(cases, index)
    return FuzzRequest(case, path, headers, body, accepted)


def hardly_http(rng: Random, index: int) -> FuzzRequest:
    """Send a request that a proxy and a server could parse differently, or cannot parse at all."""
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
        ("a length that is not a number", (("Content-Length", "many"),), IMAGE),
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
    accepted = REFUSED_OR_OK | CLOSED | {431, 501, 505}
    case, headers, body = pick_case(cases, index)
    headers += content_type("image/png")
    return FuzzRequest(case, NATIVE[0], headers, body, accepted, may_be_unparsable=True)


def chunks(content: bytes, size: int) -> bytes:
    """Return a body in transfer coding `chunked`."""
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


@cache
def _gzip_bomb() -> bytes:
    """Return 50 MB of zeros in 50 kB."""
    return gzip.compress(bytes(50_000_000), mtime=0)


@cache
def _padded(size: int) -> bytes:
    """Return a complete PNG, padded with zeros to this many bytes."""
    return IMAGE + bytes(size - len(IMAGE))
