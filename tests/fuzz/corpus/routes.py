"""The roads on which an image can come: every one must lead to the same refusal."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.corpus.request import BAD, MODEL, VERSION, Headers, WireRequest

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


def carried(rng: Random, case: str, content: bytes, accepted: frozenset[int] = BAD) -> WireRequest:
    """Send the bytes of a bad image on one of the roads."""
    road = rng.choices(
        (_raw, _multipart, _json, _instance, _b64_instance, _tensor, _binary_tensor), (6, 3, 3, 2, 1, 1, 1)
    )[0]
    path, headers, body = road(rng, content)
    return WireRequest(case, path, headers, body, accepted)


def native(rng: Random, case: str, kind: str, body: bytes, accepted: frozenset[int] = BAD) -> WireRequest:
    """Send a body of this content type (none where it is empty) on a native road."""
    return WireRequest(case, rng.choice(NATIVE), typed(kind), body, accepted)


def typed(kind: str) -> Headers:
    """The header for a content type."""
    return (("Content-Type", kind),) if kind else ()


def form(parts: Sequence[tuple[str, bytes]], boundary: str = BOUNDARY, end: str = "--\r\n") -> bytes:
    """A multipart body. Each part is its headers, without the last line end, and its content."""
    pieces = [f"--{boundary}\r\n{headers}\r\n\r\n".encode("latin-1") + content + b"\r\n" for headers, content in parts]
    return b"".join(pieces) + f"--{boundary}{end}".encode("latin-1")


def file_part(name: str, kind: str = "image/png") -> str:
    """The headers of a part that holds a file."""
    return f'Content-Disposition: form-data; name="{name}"; filename="{name}.png"\r\nContent-Type: {kind}'


def field_part(name: str) -> str:
    """The headers of a part that holds an option."""
    return f'Content-Disposition: form-data; name="{name}"'


def form_type(boundary: str = BOUNDARY) -> str:
    """The content type of a multipart body."""
    return f"multipart/form-data; boundary={boundary}"


def b64(content: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(content).decode("ascii")


def dump(document: Any) -> bytes:
    """JSON; what JSON does not have, such as NaN, as JavaScript writes it."""
    return json.dumps(document).encode()


def framed(contents: Sequence[bytes]) -> bytes:
    """A BYTES tensor as the binary extension has it: each element after its length in four little-endian bytes."""
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


def _raw(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    return rng.choice(NATIVE), typed(rng.choice(TYPES)), content


def _multipart(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    return rng.choice(NATIVE), typed(form_type()), form([(file_part("image"), content)])


def _json(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    before = rng.choice(("", "data:image/png;base64,"))
    return rng.choice(NATIVE), typed(JSON), dump({"image": before + b64(content)})


def _instance(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    instance = rng.choice(({"image": b64(content)}, b64(content)))
    return rng.choice(V1), typed(JSON), dump({"instances": [instance]})


def _b64_instance(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    inside: Any = {"b64": b64(content)}
    return rng.choice(V1), typed(JSON), dump({"instances": [rng.choice((inside, {"image_bytes": inside}))]})


def _tensor(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(content)]}
    return rng.choice(V2), typed(JSON), dump({"inputs": [tensor]})


def _binary_tensor(rng: Random, content: bytes) -> tuple[str, Headers, bytes]:
    binary = framed([content])
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(binary)},
    }
    return with_binary(rng.choice(V2), {"inputs": [tensor]}, binary)


def with_binary(path: str, document: Any, binary: bytes, length: str | None = None) -> tuple[str, Headers, bytes]:
    """A v2 request with binary data after its JSON; `length` overrides what the header says of the JSON's."""
    head = dump(document)
    said = str(len(head)) if length is None else length
    kind = ("Content-Type", "application/octet-stream")
    return path, (kind, ("Inference-Header-Content-Length", said)), head + binary
