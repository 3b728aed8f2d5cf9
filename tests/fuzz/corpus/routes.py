"""Routes and body formats that carry an image. A bad image must be refused the same way on each."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.corpus.request import MODEL, REFUSED, VERSION, FuzzRequest, Headers

NATIVE = (
    f"/predictions/{MODEL}",
    f"/predictions/{MODEL}/{VERSION}",
    f"/explanations/{MODEL}",
    f"/invocations?model_name={MODEL}",
)
V1 = (f"/v1/models/{MODEL}:predict", f"/v1/models/{MODEL}/versions/{VERSION}:predict", f"/v1/models/{MODEL}:explain")
V2 = (
    f"/v2/models/{MODEL}/infer",
    f"/v2/models/{MODEL}/versions/{VERSION}/infer",
    f"/v2/models/{MODEL}/explain",
)
TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream", "image/x-unknown", "")
BOUNDARY = "frontier"
JSON = "application/json"


def on_any_route(rng: Random, case: str, content: bytes, accepted: frozenset[int] = REFUSED) -> FuzzRequest:
    """Return a request with a bad image, on a random route."""
    build = rng.choices(
        (_raw, _multipart, _json, _instance, _b64_instance, _tensor, _binary_tensor), (6, 3, 3, 2, 1, 1, 1)
    )[0]
    path, headers, body = build(rng, content)
    return FuzzRequest(case, path, headers, body, accepted)


def on_native_route(rng: Random, case: str, kind: str, body: bytes, accepted: frozenset[int] = REFUSED) -> FuzzRequest:
    """Return a request with a body of this content type (empty: no header) on a native route."""
    return FuzzRequest(case, rng.choice(NATIVE), content_type(kind), body, accepted)


def content_type(kind: str) -> Headers:
    """Return the header for a content type; no header if it is empty."""
    return (("Content-Type", kind),) if kind else ()


def form(parts: Sequence[tuple[str, bytes]], boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """Return a multipart body. Each part is its headers, without the last line end, and its content."""
    pieces = [f"--{boundary}\r\n{headers}\r\n\r\n".encode("latin-1") + content + b"\r\n" for headers, content in parts]
    return b"".join(pieces) + f"--{boundary}{end}".encode("latin-1")


def file_part(name: str, kind: str = "image/png") -> str:
    """Return the headers of a part that holds a file."""
    return f'Content-Disposition: form-data; name="{name}"; filename="{name}.png"\r\nContent-Type: {kind}'


def field_part(name: str) -> str:
    """Return the headers of a part that holds an option."""
    return f'Content-Disposition: form-data; name="{name}"'


def form_type(boundary: str = BOUNDARY) -> str:
    """Return the content type of a multipart body."""
    return f"multipart/form-data; boundary={boundary}"


def b64(content: bytes) -> str:
    """Return base64 as text."""
    return base64.b64encode(content).decode("ascii")


def to_json(document: Any) -> bytes:
    """Return JSON. Values that JSON lacks, such as NaN, are written as in JavaScript."""
    return json.dumps(document).encode()


def length_prefixed(contents: Sequence[bytes]) -> bytes:
    """Return a BYTES tensor of the binary extension: each element after its length in four little-endian bytes."""
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


def _raw(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    return rng.choice(NATIVE), content_type(rng.choice(TYPES)), content


def _multipart(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    return rng.choice(NATIVE), content_type(form_type()), form([(file_part("image"), content)])


def _json(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    prefix = rng.choice(("", "data:image/png;base64,"))
    return rng.choice(NATIVE), content_type(JSON), to_json({"image": prefix + b64(content)})


def _instance(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    instance = rng.choice(({"image": b64(content)}, b64(content)))
    return rng.choice(V1), content_type(JSON), to_json({"instances": [instance]})


def _b64_instance(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    encoded: Any = {"b64": b64(content)}
    return rng.choice(V1), content_type(JSON), to_json({"instances": [rng.choice((encoded, {"image_bytes": encoded}))]})


def _tensor(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(content)]}
    return rng.choice(V2), content_type(JSON), to_json({"inputs": [tensor]})


def _binary_tensor(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    binary = length_prefixed([content])
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(binary)},
    }
    return with_binary(rng.choice(V2), {"inputs": [tensor]}, binary)


def with_binary(path: str, document: Any, binary: bytes, length: str | None = None) -> tuple[str, Headers, bytes]:
    """Return a v2 request with binary data after its JSON. `length` overrides the header for the JSON's length."""
    json_bytes = to_json(document)
    json_length = str(len(json_bytes)) if length is None else length
    media_type = ("Content-Type", "application/octet-stream")
    return path, (media_type, ("Inference-Header-Content-Length", json_length)), json_bytes + binary
