"""Wrong JSON bodies: of the native form, `{"image": "<base64>"}`, and of any JSON."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, content_type, on_native_route, to_json
from tests.fuzz.corpus.valid_images import any_image, pngs

TEXT = b64(pngs()[0])
GOOD = to_json({"image": TEXT})
INSTANCES = to_json({"instances": [{"b64": TEXT}]})
TENSOR = to_json({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]})


def no_json(rng: Random, index: int) -> FuzzRequest:
    """Send text that is not JSON, or incomplete JSON, to every route that takes JSON."""
    path, valid = rng.choice(((rng.choice(NATIVE), GOOD), (rng.choice(V1), INSTANCES), (rng.choice(V2), TENSOR)))
    depth = rng.choice((50, 900, 1_100, 100_000, 2_000_000))
    case, body, accepted = pick_case(
        (
            ("nothing", b"", REFUSED),
            ("a space", b" ", REFUSED),
            ("one brace", b"{", REFUSED),
            ("a brace closed", b"}", REFUSED),
            ("half a word", b"nul", REFUSED),
            ("cut short", valid[: rng.randrange(1, len(valid))], REFUSED),
            ("rubbish after it", valid + rng.choice((b"}", b"x", b"{}", valid, b"\0")), REFUSED),
            ("single quotes", valid.replace(b'"', b"'"), REFUSED),
            ("a comma at the end", valid[:-1] + b",}", REFUSED),
            ("a comment", b"/* an image */" + valid, REFUSED),
            ("no UTF-8", valid[:5] + b"\xff\xfe" + valid[5:], REFUSED),
            ("overlong UTF-8", valid[:5] + b"\xc0\x80" + valid[5:], REFUSED),
            ("a raw NUL", valid[:5] + b"\0" + valid[5:], REFUSED),
            ("a raw line end in a string", valid[:-20] + b"\n" + valid[-20:], REFUSED_OR_OK),
            ("a byte order mark", b"\xef\xbb\xbf" + valid, REFUSED_OR_OK),
            ("UTF-16", valid.decode().encode("utf-16"), REFUSED_OR_OK),
            ("UTF-32", valid.decode().encode("utf-32"), REFUSED_OR_OK),
            (f"{depth:,} brackets", b"[" * depth, REFUSED),
            (f"{depth:,} brackets, closed", b"[" * depth + b"]" * depth, REFUSED),
            (f"{depth:,} objects", b'{"a":' * depth + b"1" + b"}" * depth, REFUSED),
            ("deep within a member", valid[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}", REFUSED_OR_OK),
            ("an image", pngs()[0], REFUSED),
            ("a form", b"image=" + TEXT.encode(), REFUSED),
            ("XML", b"<image>" + TEXT.encode() + b"</image>", REFUSED),
            ("spaces by the megabyte", b" " * 4_000_000, REFUSED),
            ("2,000,000 empty lists", b"[" + b"[]," * 2_000_000 + b"[]]", REFUSED),
        ),
        index,
    )
    return FuzzRequest(case, path, content_type(JSON), body, accepted)


def wrong_shape(rng: Random, index: int) -> FuzzRequest:
    """Send well-formed JSON that is not `{"image": "<base64>"}`."""
    values: tuple[Any, ...] = (
        None,
        True,
        3,
        -1.5,
        [],
        {},
        [TEXT],
        {"b64": 3},
        {"b64": TEXT},
        10**400,
        "",
        " ",
        "\ud800",
        "\0",
        "\U0001f40d" * 9,
    )
    documents: tuple[Any, ...] = (None, True, 3, "text", [], [[]], {}, [{"image": TEXT}], TEXT)
    shapes = [("member", to_json({"image": value})) for value in values]
    shapes += [("document", to_json(value)) for value in documents]
    shapes += [
        ("another name", to_json({"img": TEXT})),
        ("another case", to_json({"Image": TEXT})),
        ("one more member", to_json({"image": TEXT, "color": "red"})),
        ("one more member, long", GOOD[:-1] + b', "' + b"c" * 1_000_000 + b'": 1}'),
        ("100,000 more members", _many_members()),
        ("an empty name", to_json({"image": TEXT, "": 1})),
        ("__proto__", to_json({"image": TEXT, "__proto__": {"top_k": 1}})),
        ("image is not a number", b'{"image": NaN}'),
        ("image is 1e999", b'{"image": 1e999}'),
        ("null for all", to_json({"image": None, "instances": None, "inputs": None})),
    ]
    case, body = pick_case(shapes, index)
    return on_native_route(rng, f"{case}: {body[:60]!r}", JSON, body, REFUSED)


@cache
def _many_members() -> bytes:
    return to_json({"image": TEXT} | {f"m{number}": number for number in range(100_000)})


def two_meanings(rng: Random, index: int) -> FuzzRequest:
    """Send ambiguous JSON that some parsers accept. The server may accept it, but must not respond with a 5xx."""
    bodies = (
        b'{"image": "x", "image": "%s"}' % TEXT.encode(),
        b'{"image": "%s", "image": "x"}' % TEXT.encode(),
        b'{"image": "%s", "top_k": 1, "top_k": 2}' % TEXT.encode(),
        b'{"image": "%s", "top_k": 1.0}' % TEXT.encode(),
        b'{"image": "%s", "top_k": null}' % TEXT.encode(),
        b'{"image": "%s", "target": NaN}' % TEXT.encode(),
        b'{"image": "%s", "instances": []}' % TEXT.encode(),
        b'{"im\\u0061ge": "%s"}' % TEXT.encode(),
        b'{"image": "%s"}' % "".join(f"\\u{ord(letter):04x}" for letter in TEXT).encode(),
        b'{"instances": ["%s"], "inputs": []}' % TEXT.encode(),
    )
    body = pick_case(bodies, index)
    return on_native_route(rng, f"{body[:40]!r}", JSON, body, REFUSED_OR_OK)


def wrong_base64(rng: Random, index: int) -> FuzzRequest:
    """Send wrong base64 in each of the three shapes of JSON."""
    urlsafe = b64(bytes(range(256)) * 4).replace("+", "-").replace("/", "_")
    case, text, accepted = pick_case(
        (
            ("one letter", "A", REFUSED),
            ("one letter too many", TEXT.rstrip("=") + "AAAAA"[: 1 + -len(TEXT.rstrip("=")) % 4], REFUSED_OR_OK),
            ("padding alone", "====", REFUSED),
            ("padding within", TEXT[:100] + "==" + TEXT[100:], REFUSED),
            ("no padding", b64(pngs()[0] + b"\0" * (2 - len(pngs()[0]) % 3)).rstrip("="), REFUSED_OR_OK),
            ("too much padding", TEXT + "====", REFUSED_OR_OK),
            ("the other alphabet", urlsafe, REFUSED),
            ("lines", "\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)), REFUSED_OR_OK),
            ("spaces", " ".join(TEXT), REFUSED_OR_OK),
            ("a letter that is none", TEXT[:50] + "\xe9" + TEXT[50:], REFUSED),
            ("digits that look alike", TEXT[:50] + "\uff11" * 4 + TEXT[50:], REFUSED),
            ("twice", b64(TEXT.encode()), REFUSED),
            ("a data URL without data", "data:image/png;base64,", REFUSED),
            ("a data URL without a comma", "data:image/png;base64", REFUSED),
            ("a data URL in percent", "data:image/png,%89PNG%0D%0A%1A%0A", REFUSED),
            ("a data URL of text", "data:text/plain;base64," + b64(b"just text"), REFUSED),
            ("a data URL of HTML that is an image", "data:text/html;base64," + TEXT, REFUSED_OR_OK),
            ("two data URLs", "data:image/png;base64,data:image/png;base64," + TEXT, REFUSED),
            ("a data URL in capitals", "DATA:image/png;BASE64," + TEXT, REFUSED_OR_OK),
            ("a web address", "http://127.0.0.1:8081/models", REFUSED),
            ("a file's address", "file:///etc/passwd", REFUSED),
            ("a path", "/etc/passwd", REFUSED),
            ("hexadecimal", pngs()[0].hex(), REFUSED),
            ("bytes of Python", str(pngs()[0][:200]), REFUSED),
            ("4 MB of A", "A" * 4_000_000, REFUSED),
            ("over 6 MB of image", "A" * 8_200_000, REFUSED),
        ),
        index,
    )
    path, document = rng.choice(
        (
            (rng.choice(NATIVE), {"image": text}),
            (
                rng.choice(V1),
                {"instances": [rng.choice(({"b64": text}, {"image_bytes": {"b64": text}}, {"image": text}))]},
            ),
            (rng.choice(V2), {"inputs": [{"name": "i", "datatype": "BYTES", "shape": [1], "data": [text]}]}),
        )
    )
    return FuzzRequest(case, path, content_type(JSON), to_json(document), accepted)


def json_mutated(rng: Random, index: int) -> FuzzRequest:
    """Send a good document of one of the three shapes with a change anywhere."""
    text = b64(any_image(rng))
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text], "parameters": {}}
    path, document = rng.choice(
        (
            (rng.choice(NATIVE), {"image": text, "top_k": 3}),
            (rng.choice(V1), {"instances": [{"b64": text}], "parameters": {"top_k": 3}}),
            (rng.choice(V2), {"id": "7", "inputs": [tensor], "outputs": [{"name": "label"}]}),
        )
    )
    body = json.dumps(document).encode()
    mutate = pick_case(MUTATIONS, index)
    # Change the keys, at the start and the end, rather than the image.
    cut = rng.choice((0, max(0, len(body) - 90)))
    return FuzzRequest(
        mutate.__name__.strip("_"),
        path,
        content_type(JSON),
        body[:cut] + mutate(rng, body[cut : cut + 90]) + body[cut + 90 :],
        REFUSED_OR_OK,
    )
