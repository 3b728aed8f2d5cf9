"""JSON bodies of the native form, `{"image": "<base64>"}`, and what is wrong with any JSON."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import BAD, EITHER, WireRequest, in_turn
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, dump, native, typed
from tests.fuzz.corpus.valid_images import any_image, pngs

TEXT = b64(pngs()[0])
GOOD = dump({"image": TEXT})
INSTANCES = dump({"instances": [{"b64": TEXT}]})
TENSOR = dump({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]})


def no_json(rng: Random, turn: int) -> WireRequest:
    """Text that is no JSON, or not the whole of it, on every road that takes JSON."""
    path, good = rng.choice(((rng.choice(NATIVE), GOOD), (rng.choice(V1), INSTANCES), (rng.choice(V2), TENSOR)))
    depth = rng.choice((50, 900, 1_100, 100_000, 2_000_000))
    case, body, accepted = in_turn(
        (
            ("nothing", b"", BAD),
            ("a space", b" ", BAD),
            ("one brace", b"{", BAD),
            ("a brace closed", b"}", BAD),
            ("half a word", b"nul", BAD),
            ("cut short", good[: rng.randrange(1, len(good))], BAD),
            ("rubbish after it", good + rng.choice((b"}", b"x", b"{}", good, b"\0")), BAD),
            ("single quotes", good.replace(b'"', b"'"), BAD),
            ("a comma at the end", good[:-1] + b",}", BAD),
            ("a comment", b"/* an image */" + good, BAD),
            ("no UTF-8", good[:5] + b"\xff\xfe" + good[5:], BAD),
            ("overlong UTF-8", good[:5] + b"\xc0\x80" + good[5:], BAD),
            ("a raw NUL", good[:5] + b"\0" + good[5:], BAD),
            ("a raw line end in a string", good[:-20] + b"\n" + good[-20:], EITHER),
            ("a byte order mark", b"\xef\xbb\xbf" + good, EITHER),
            ("UTF-16", good.decode().encode("utf-16"), EITHER),
            ("UTF-32", good.decode().encode("utf-32"), EITHER),
            (f"{depth:,} brackets", b"[" * depth, BAD),
            (f"{depth:,} brackets, closed", b"[" * depth + b"]" * depth, BAD),
            (f"{depth:,} objects", b'{"a":' * depth + b"1" + b"}" * depth, BAD),
            ("deep within a member", good[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}", EITHER),
            ("an image", pngs()[0], BAD),
            ("a form", b"image=" + TEXT.encode(), BAD),
            ("XML", b"<image>" + TEXT.encode() + b"</image>", BAD),
            ("spaces by the megabyte", b" " * 4_000_000, BAD),
            ("2,000,000 empty lists", b"[" + b"[]," * 2_000_000 + b"[]]", BAD),
        ),
        turn,
    )
    return WireRequest(case, path, typed(JSON), body, accepted)


def wrong_shape(rng: Random, turn: int) -> WireRequest:
    """JSON that is well formed, and not `{"image": "<base64>"}`."""
    ugly: tuple[Any, ...] = (
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
    shapes = [("member", dump({"image": value})) for value in ugly]
    shapes += [("document", dump(value)) for value in documents]
    shapes += [
        ("another name", dump({"img": TEXT})),
        ("another case", dump({"Image": TEXT})),
        ("one more member", dump({"image": TEXT, "colour": "red"})),
        ("one more member, long", GOOD[:-1] + b', "' + b"c" * 1_000_000 + b'": 1}'),
        ("100,000 more members", _many_members()),
        ("an empty name", dump({"image": TEXT, "": 1})),
        ("__proto__", dump({"image": TEXT, "__proto__": {"top_k": 1}})),
        ("image is not a number", b'{"image": NaN}'),
        ("image is 1e999", b'{"image": 1e999}'),
        ("null for all", dump({"image": None, "instances": None, "inputs": None})),
    ]
    case, body = in_turn(shapes, turn)
    return native(rng, f"{case}: {body[:60]!r}", JSON, body, BAD)


@cache
def _many_members() -> bytes:
    return dump({"image": TEXT} | {f"m{number}": number for number in range(100_000)})


def two_meanings(rng: Random, turn: int) -> WireRequest:
    """JSON that some would read: it may be answered, and must not be misunderstood into a 5xx."""
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
    body = in_turn(bodies, turn)
    return native(rng, f"{body[:40]!r}", JSON, body, EITHER)


def wrong_base64(rng: Random, turn: int) -> WireRequest:
    """Text where base64 belongs, in each of the three shapes of JSON."""
    urlsafe = b64(bytes(range(256)) * 4).replace("+", "-").replace("/", "_")
    case, text, accepted = in_turn(
        (
            ("one letter", "A", BAD),
            ("one letter too many", TEXT.rstrip("=") + "AAAAA"[: 1 + -len(TEXT.rstrip("=")) % 4], EITHER),
            ("padding alone", "====", BAD),
            ("padding within", TEXT[:100] + "==" + TEXT[100:], BAD),
            ("no padding", b64(pngs()[0] + b"\0" * (2 - len(pngs()[0]) % 3)).rstrip("="), EITHER),
            ("too much padding", TEXT + "====", EITHER),
            ("the other alphabet", urlsafe, BAD),
            ("lines", "\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)), EITHER),
            ("spaces", " ".join(TEXT), EITHER),
            ("a letter that is none", TEXT[:50] + "\xe9" + TEXT[50:], BAD),
            ("digits that look alike", TEXT[:50] + "\uff11" * 4 + TEXT[50:], BAD),
            ("twice", b64(TEXT.encode()), BAD),
            ("a data URL without data", "data:image/png;base64,", BAD),
            ("a data URL without a comma", "data:image/png;base64", BAD),
            ("a data URL in percent", "data:image/png,%89PNG%0D%0A%1A%0A", BAD),
            ("a data URL of text", "data:text/plain;base64," + b64(b"just text"), BAD),
            ("a data URL of HTML that is an image", "data:text/html;base64," + TEXT, EITHER),
            ("two data URLs", "data:image/png;base64,data:image/png;base64," + TEXT, BAD),
            ("a data URL in capitals", "DATA:image/png;BASE64," + TEXT, EITHER),
            ("a web address", "http://127.0.0.1:8081/models", BAD),
            ("a file's address", "file:///etc/passwd", BAD),
            ("a path", "/etc/passwd", BAD),
            ("hexadecimal", pngs()[0].hex(), BAD),
            ("bytes of Python", str(pngs()[0][:200]), BAD),
            ("4 MB of A", "A" * 4_000_000, BAD),
            ("over 6 MB of image", "A" * 8_200_000, BAD),
        ),
        turn,
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
    return WireRequest(case, path, typed(JSON), dump(document), accepted)


def json_mutated(rng: Random, turn: int) -> WireRequest:
    """A good document of one of the three shapes with a change anywhere."""
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
    mutate = in_turn(MUTATIONS, turn)
    # Where the keys are, at the beginning and the end, rather than within the image.
    cut = rng.choice((0, max(0, len(body) - 90)))
    return WireRequest(
        mutate.__name__.strip("_"),
        path,
        typed(JSON),
        body[:cut] + mutate(rng, body[cut : cut + 90]) + body[cut + 90 :],
        EITHER,
    )
