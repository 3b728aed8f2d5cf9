"""Good images with options that are unknown, wrong or at odds with each other, wherever an option may stand."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import quote

from tests.fuzz.corpus.request import BAD, EITHER, MODEL, Headers, WireRequest, in_turn
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, V2, b64, dump, field_part, file_part, form, form_type, typed
from tests.fuzz.corpus.valid_images import any_image, pngs

EXPLAIN = f"/explanations/{MODEL}"
PREDICT = f"/predictions/{MODEL}"
HEADERS = {"top_k": "X-Top-K", "method": "X-Explain-Method", "target": "X-Target", "timing": "X-Timing"}
PNG = ("Content-Type", "image/png")
TEXT = b64(pngs()[0])
WRONG = {
    "top_k": ("0", "-1", "1.5", "many", "1e3", "0x1", "9" * 30, "9" * 5_000, "+1", "1,2", "None", "1 2", "\xb2"),
    "method": ("magic", "../ig", "ig,ig", "0", "__init__", "ig\xff", "os.system", "m" * 5_000),
    "target": ("10", "-1", "nothing", "1e9", "3.0", "\xb3", "t" * 5_000, "3;4", "None"),
    "timing": ("maybe", "2", "-1", "t" * 5_000),
}
PAIRS = [(name, value) for name, values in WRONG.items() for value in values]


def wrong_option(rng: Random, turn: int) -> WireRequest:
    """One option that we have, with a value that it cannot have, in each place."""
    name, value = in_turn(PAIRS, turn)
    place = rng.choice(("query", "header", "part", "JSON", "instances", "inputs"))
    case = f"{name}={value[:40]} as {place}"
    return _placed(rng, case, name, value, place)


def unknown_option(rng: Random, turn: int) -> WireRequest:
    """An option that nobody has, in each place but headers, of which anybody may send any."""
    names = (
        "topk",
        "top-k",
        "TOP_K",
        "top_k ",
        "colour",
        "",
        "0",
        "__class__",
        "top_k[]",
        "\xfc",
        "n" * 5_000,
        "image_url",
    )
    name = in_turn(names, turn)
    place = rng.choice(("query", "JSON", "instances", "inputs"))
    return _placed(rng, f"{name[:40]!r} as {place}", name, "1", place)


def contradicting(rng: Random, turn: int) -> WireRequest:
    """One option with two values, or one that belongs to explanations on a prediction."""
    image = any_image(rng)
    both = f"{rng.choice((PREDICT, EXPLAIN))}?top_k=1"
    parts = form([(file_part("a"), image), (field_part("top_k"), b"2")])
    cases: tuple[tuple[str, str, Headers, bytes], ...] = (
        ("query twice", f"{both}&top_k=2", (PNG,), image),
        ("query and header", both, (PNG, ("X-Top-K", "2")), image),
        ("query and part", both, typed(form_type()), parts),
        ("header and part", PREDICT, (("Content-Type", form_type()), ("X-Top-K", "3")), parts),
        ("query and JSON", both, typed(JSON), dump({"image": TEXT, "top_k": 2})),
        ("query and parameters", f"{V1[0]}?top_k=1", typed(JSON), _instances({"top_k": 2})),
        ("header and parameters", V2[0], (*typed(JSON), ("X-Top-K", "1")), _inputs({"top_k": 2})),
        ("a method for a prediction", f"{PREDICT}?method=ig", (PNG,), image),
        ("a target for a prediction", f"{PREDICT}?target=3", (PNG,), image),
        ("a method for a prediction of v1", V1[0], typed(JSON), _instances({"method": "ig"})),
        ("a target for a prediction of v2", V2[0], typed(JSON), _inputs({"target": "3"})),
    )
    case, path, headers, body = in_turn(cases, turn)
    return WireRequest(case, path, headers, body)


def odd_query(rng: Random, turn: int) -> WireRequest:
    """Queries and headers that are hardly any; some of them mean nothing, and may be passed over."""
    queries = (
        "?",
        "&&&",
        "=",
        "=5",
        "top_k",
        "top_k=",
        "top_k=%",
        "top_k=%zz",
        "top_k=%00",
        "top_k=1%00",
        "top_k=%ff%fe",
        "top_k=%EF%BC%91",
        "%74op_k=0",
        "top_k=1;top_k=2",
        "top_k=1#2",
        "top_k=1?top_k=1",
        "top_k=1\xff",
        "&".join(["top_k=1"] * 1_000),
        "&".join(f"a{n}={n}" for n in range(1_000)),
        "x" * 8_000,
        "model=other&version=9",
        "url=http://127.0.0.1:8081/models",
    )
    query = in_turn(queries, turn)
    accepted = EITHER | {414}
    return WireRequest(f"?{query[:40]}", f"{rng.choice((PREDICT, EXPLAIN))}?{query}", (PNG,), any_image(rng), accepted)


def odd_header(rng: Random, turn: int) -> WireRequest:
    """Headers that nobody asked for, or that are at odds with what is answered."""
    headers: tuple[tuple[str, str], ...] = (
        ("Accept", "text/html"),
        ("Accept", "image/png"),
        ("Accept", "application/x-npy"),
        ("Accept", "rubbish"),
        ("Accept", "*/*;q=nothing"),
        ("Accept", ",".join(["image/png;q=0.1"] * 500)),
        ("X-Top-K", ""),
        ("X-Top-K", "1, 2"),
        ("x-top-k", "1"),
        ("X-Request-Id", "i" * 6_000),
        ("X-Request-Id", "\xff\xfe"),
        ("X-Request-Id", '"><script>alert(1)</script>'),
        ("X-Request-Id", ""),
        ("X-Torchlight-Query", "top_k=0"),
        ("explain", "True"),
        ("describe", "True"),
        ("url_path", "../../etc/passwd"),
        ("body", "text"),
        ("image", "text"),
        ("X-Model-Version", "9"),
        ("Inference-Header-Content-Length", "5"),
        ("Inference-Header-Content-Length", "-5"),
        ("Cookie", "c" * 6_000),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "*"),
        ("Upgrade", "websocket"),
        ("Content-Range", "bytes 0-1/2"),
        ("Authorization", "Bearer " + "t" * 3_000),
        ("Transfer-Encoding", "identity"),
        ("Forwarded", "for=unknown;proto=\xff"),
        ("Connection", "close, X-Top-K"),
        ("Priority", "u=99"),
    )
    name, value = in_turn(headers, turn)
    path = rng.choice((PREDICT, EXPLAIN, NATIVE[3]))
    accepted = EITHER | {406, 431, 501}
    unreadable = name == "Transfer-Encoding"
    return WireRequest(
        f"{name}: {value[:40]}", path, (PNG, (name, value)), any_image(rng), accepted, may_be_unreadable=unreadable
    )


def _placed(rng: Random, case: str, name: str, value: str, place: str) -> WireRequest:
    # Where an option is known at all: on explanations all are.
    image = any_image(rng)
    if place == "query":
        return WireRequest(case, f"{EXPLAIN}?{quote(name)}={quote(value)}", (PNG,), image, BAD | {414})
    if place == "header":
        return WireRequest(case, EXPLAIN, (PNG, (HEADERS[name], value)), image)
    if place == "part":
        body = form([(file_part("image"), image), (field_part(name), value.encode())])
        return WireRequest(case, EXPLAIN, typed(form_type()), body)
    if place == "JSON":
        return WireRequest(case, EXPLAIN, typed(JSON), dump({"image": b64(image), name: value}))
    if place == "instances":
        return WireRequest(case, V1[2], typed(JSON), _instances({name: value}))
    return WireRequest(case, V2[2], typed(JSON), _inputs({name: value}))


def _instances(parameters: dict[str, Any]) -> bytes:
    return dump({"instances": [{"b64": TEXT}], "parameters": parameters})


def _inputs(parameters: dict[str, Any]) -> bytes:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}
    return dump({"inputs": [tensor], "parameters": parameters})
