"""Good images with options that are unknown, wrong or contradictory, in every place for an option."""

from __future__ import annotations

from random import Random
from typing import Any
from urllib.parse import quote

from tests.fuzz.corpus.request import MODEL, REFUSED, REFUSED_OR_OK, FuzzRequest, Headers, pick_case
from tests.fuzz.corpus.routes import (
    JSON,
    NATIVE,
    V1,
    V2,
    b64,
    content_type,
    field_part,
    file_part,
    form,
    form_type,
    to_json,
)
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


def wrong_option(rng: Random, index: int) -> FuzzRequest:
    """Send a known option with an invalid value, in each location."""
    name, value = pick_case(PAIRS, index)
    location = rng.choice(("query", "header", "part", "JSON", "instances", "inputs"))
    case = f"{name}={value[:40]} as {location}"
    return _with_option(rng, case, name, value, location)


def unknown_option(rng: Random, index: int) -> FuzzRequest:
    """Send an unknown option in each location except headers, where unknown names are allowed."""
    names = (
        "topk",
        "top-k",
        "TOP_K",
        "top_k ",
        "color",
        "",
        "0",
        "__class__",
        "top_k[]",
        "\xfc",
        "n" * 5_000,
        "image_url",
    )
    name = pick_case(names, index)
    location = rng.choice(("query", "JSON", "instances", "inputs"))
    return _with_option(rng, f"{name[:40]!r} as {location}", name, "1", location)


def contradicting(rng: Random, index: int) -> FuzzRequest:
    """Send an option with two values, or an option of explanations with a prediction."""
    image = any_image(rng)
    path_with_query = f"{rng.choice((PREDICT, EXPLAIN))}?top_k=1"
    parts = form([(file_part("a"), image), (field_part("top_k"), b"2")])
    cases: tuple[tuple[str, str, Headers, bytes], ...] = (
        ("query twice", f"{path_with_query}&top_k=2", (PNG,), image),
        ("query and header", path_with_query, (PNG, ("X-Top-K", "2")), image),
        ("query and part", path_with_query, content_type(form_type()), parts),
        ("header and part", PREDICT, (("Content-Type", form_type()), ("X-Top-K", "3")), parts),
        ("query and JSON", path_with_query, content_type(JSON), to_json({"image": TEXT, "top_k": 2})),
        ("query and parameters", f"{V1[0]}?top_k=1", content_type(JSON), _instances({"top_k": 2})),
        ("header and parameters", V2[0], (*content_type(JSON), ("X-Top-K", "1")), _inputs({"top_k": 2})),
        ("a method for a prediction", f"{PREDICT}?method=ig", (PNG,), image),
        ("a target for a prediction", f"{PREDICT}?target=3", (PNG,), image),
        ("a method for a prediction of v1", V1[0], content_type(JSON), _instances({"method": "ig"})),
        ("a target for a prediction of v2", V2[0], content_type(JSON), _inputs({"target": "3"})),
    )
    case, path, headers, body = pick_case(cases, index)
    return FuzzRequest(case, path, headers, body)


def odd_query(rng: Random, index: int) -> FuzzRequest:
    """Send a malformed query string. The server may ignore those without a meaning."""
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
    query = pick_case(queries, index)
    accepted = REFUSED_OR_OK | {414}
    return FuzzRequest(f"?{query[:40]}", f"{rng.choice((PREDICT, EXPLAIN))}?{query}", (PNG,), any_image(rng), accepted)


def odd_header(rng: Random, index: int) -> FuzzRequest:
    """Send an unexpected header, or one that does not fit the response."""
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
    name, value = pick_case(headers, index)
    path = rng.choice((PREDICT, EXPLAIN, NATIVE[3]))
    accepted = REFUSED_OR_OK | {406, 431, 501}
    unreadable = name == "Transfer-Encoding"
    return FuzzRequest(
        f"{name}: {value[:40]}", path, (PNG, (name, value)), any_image(rng), accepted, may_be_unparsable=unreadable
    )


def _with_option(rng: Random, case: str, name: str, value: str, location: str) -> FuzzRequest:
    # Explanations know all options.
    image = any_image(rng)
    if location == "query":
        return FuzzRequest(case, f"{EXPLAIN}?{quote(name)}={quote(value)}", (PNG,), image, REFUSED | {414})
    if location == "header":
        return FuzzRequest(case, EXPLAIN, (PNG, (HEADERS[name], value)), image)
    if location == "part":
        body = form([(file_part("image"), image), (field_part(name), value.encode())])
        return FuzzRequest(case, EXPLAIN, content_type(form_type()), body)
    if location == "JSON":
        return FuzzRequest(case, EXPLAIN, content_type(JSON), to_json({"image": b64(image), name: value}))
    if location == "instances":
        return FuzzRequest(case, V1[2], content_type(JSON), _instances({name: value}))
    return FuzzRequest(case, V2[2], content_type(JSON), _inputs({name: value}))


def _instances(parameters: dict[str, Any]) -> bytes:
    return to_json({"instances": [{"b64": TEXT}], "parameters": parameters})


def _inputs(parameters: dict[str, Any]) -> bytes:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}
    return to_json({"inputs": [tensor], "parameters": parameters})
