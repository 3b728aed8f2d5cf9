"""Wrong bodies of the Open Inference Protocol v2, in JSON and with the binary extension."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from tests.fuzz.corpus.mutations import MUTATIONS
from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, Headers, pick_case
from tests.fuzz.corpus.routes import JSON, V2, b64, content_type, length_prefixed, to_json, with_binary
from tests.fuzz.corpus.valid_images import any_image, pngs

IMAGE = pngs()[0]
TEXT = b64(IMAGE)
HUGE = 2**70
LENGTH = "Inference-Header-Content-Length"


def tensor(**changes: Any) -> dict[str, Any]:
    """Return a good BYTES tensor with changed members. None removes a member."""
    members = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]} | changes
    return {name: value for name, value in members.items() if value is not None}


def pixels(**changes: Any) -> dict[str, Any]:
    """Return a good UINT8 tensor of 2 x 2 pixels with changed members."""
    return tensor(**{"datatype": "UINT8", "shape": [1, 2, 2, 3], "data": list(range(12))} | changes)


def wrong_tensor(rng: Random, index: int) -> FuzzRequest:
    """Send one wrong input tensor."""
    shapes: tuple[Any, ...] = (
        "1",
        1,
        [],
        [0],
        [-1],
        [2],
        [1.5],
        ["1"],
        [None],
        [True, 2],
        [HUGE],
        [[1]],
        {},
        [1] * 40,
        [1, 1, 9],
    )
    types: tuple[Any, ...] = ("", "UINT9", "FP8", 5, [], "STRING", "UINT8", "FP32", "x" * 100_000)
    data: tuple[Any, ...] = ("", TEXT, [], [""], [None], [3], [{}], [True], ["@"], [TEXT] * 2, {}, 3, [b64(b"x")], [[]])
    areas: tuple[Any, ...] = (
        [1, 2, 2],
        [1, 2, 2, 4],
        [2, 2, 2, 3],
        [1, 0, 2, 3],
        [1, -2, -2, 3],
        [12],
        [1, 1, 1, 1, 12],
        [1, 2**31, 2**31, 3],
        [2**64, 2, 2, 3],
        [0, 2, 2, 3],
        [1, 2.0, 2, 3],
    )
    values: tuple[Any, ...] = (
        [0] * 11,
        [0] * 13,
        [256] + [0] * 11,
        [-1] + [0] * 11,
        [HUGE] + [0] * 11,
        ["0"] * 12,
        [None] * 12,
        [[0] * 12, [0] * 12],
        [[0, 0], 0],
        "000000000000",
        {},
    )
    floats: tuple[Any, ...] = (
        [float("nan")] * 12,
        [float("inf")] * 12,
        [1e300] * 12,
        [-0.5] * 12,
        [300.5] * 12,
        ["a"] * 12,
        [0.5] * 11,
    )
    inputs: list[Any] = [tensor(shape=value) for value in shapes]
    inputs += [tensor(datatype=value) for value in types]
    inputs += [tensor(data=value) for value in data]
    inputs += [pixels(shape=value) for value in areas]
    inputs += [pixels(data=value) for value in values]
    inputs += [pixels(datatype="FP32", data=value) for value in floats]
    inputs += [tensor(**{name: None}) for name in ("datatype", "shape", "data")]
    inputs += [tensor(shape=[65], data=[TEXT] * 65), pixels(shape=[65, 1, 1, 3], data=[0] * 195)]
    inputs += [pixels(datatype=name) for name in ("COMPLEX64", "BOOL?", "BYTES")]
    return _json(rng, {"inputs": [pick_case(inputs, index)]})


def wrong_inference(rng: Random, index: int) -> FuzzRequest:
    """Send a good tensor in a wrong request."""
    valid_inputs = [tensor()]
    inputs: tuple[Any, ...] = (None, {}, [], [None], [3], ["text"], [[]], [{}], "text", [tensor(), tensor()], tensor())
    outputs: tuple[Any, ...] = (
        "label",
        {},
        [3],
        [None],
        [{}],
        [{"name": "nothing"}],
        [{"name": 3}],
        [{"name": None}],
        [[]],
    )
    parameters: tuple[Any, ...] = (
        "top_k",
        [1],
        3,
        {"color": 1},
        {"top_k": "many"},
        {"top_k": 0},
        {"top_k": {}},
        {"": 1},
    )
    documents: list[Any] = [{"inputs": value} for value in inputs]
    documents += [{"inputs": valid_inputs, "outputs": value} for value in outputs]
    documents += [{"inputs": valid_inputs, "parameters": value} for value in parameters]
    documents += [{"input": valid_inputs}, {"inputs": [tensor(), pixels()]}, {"inputs": valid_inputs * 1_000}]
    return _json(rng, pick_case(documents, index))


def odd_inference(rng: Random, index: int) -> FuzzRequest:
    """Send a request that some servers accept. The server may accept or refuse it."""
    documents: tuple[Any, ...] = (
        {"inputs": [tensor(name=None)]},
        {"inputs": [tensor(name=5)]},
        {"inputs": [tensor(name="")]},
        {"inputs": [tensor(shape=[1, 1])]},
        {"inputs": [tensor(datatype="bytes")]},
        {"inputs": [tensor(parameters={"content_type": "base64"})]},
        {"inputs": [tensor(parameters={"binary_data_size": 9})]},
        {"inputs": [pixels(shape=[2, 2, 3])]},
        {"inputs": [pixels(shape=[3, 2, 2])]},
        {"inputs": [pixels(shape=[2, 6])]},
        {"inputs": [pixels(shape=[1, 2, 6, 1])]},
        {"inputs": [tensor(parameters=3)]},
        {"inputs": [pixels(data=[0.5] * 12)]},
        {"inputs": [pixels(data=[True] * 12)]},
        {"inputs": [pixels(datatype="INT64")]},
        {"inputs": [pixels(datatype="FP32")]},
        {"inputs": [pixels(datatype="FP32", data=[1.5] * 12)]},
        {"inputs": [tensor()], "id": 5},
        {"inputs": [tensor()], "id": "x" * 100_000},
        {"inputs": [tensor()], "id": "a\r\nX-Evil: 1"},
        {"inputs": [tensor()], "outputs": []},
        {"inputs": [tensor()], "outputs": [{"name": "label"}] * 1_000},
        {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": 3}]},
        {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"binary_data": "yes"}}]},
        {"inputs": [tensor()], "parameters": {"binary_data_output": "yes"}},
        {"inputs": [tensor()], "parameters": {"binary_data_output": True, "top_k": 1}},
        {"inputs": [tensor()], "model_name": "nothing", "extra": {}},
    )
    return _json(rng, pick_case(documents, index), REFUSED_OR_OK)


def wrong_binary(rng: Random, index: int) -> FuzzRequest:
    """Send lengths that contradict each other, or binary data that contradict their description."""
    data, size = length_prefixed([IMAGE]), len(length_prefixed([IMAGE]))
    document = {"inputs": [tensor(data=None, parameters={"binary_data_size": size})]}
    json_length = len(to_json(document))
    rgb = {"datatype": "UINT8", "shape": [1, 2, 2, 3], "data": None, "parameters": {"binary_data_size": 12}}
    fp32 = rgb | {"datatype": "FP32", "parameters": {"binary_data_size": 48}}
    lengths = (
        "",
        "x",
        "-1",
        "+5",
        "0",
        "1",
        f"{json_length}.0",
        f"{json_length:#x}",
        str(json_length - 1),
        str(json_length + 1),
        "9" * 30,
        f"{json_length},{json_length}",
    )
    sizes: tuple[Any, ...] = (0, -1, size - 1, size + 1, str(size), float(size) + 0.5, None, [], True, HUGE, 1)
    cases: list[tuple[str, Any, bytes, str | None]] = [
        (f"length {value!r}", document, data, value) for value in lengths
    ]
    cases += [
        (f"size {value!r}", {"inputs": [tensor(data=None, parameters={"binary_data_size": value})]}, data, None)
        for value in sizes
    ]
    cases += [
        ("no size", {"inputs": [tensor(data=None)]}, data, None),
        ("no data", document, b"", None),
        ("half the data", document, data[: size // 2], None),
        ("data after the data", document, data + b"more", None),
        ("both kinds of data", {"inputs": [tensor(parameters={"binary_data_size": size})]}, data, None),
        ("data that nobody speaks of", {"inputs": [tensor()]}, data, None),
        ("no JSON", "text", data, None),
        ("an element longer than the data", document, struct.pack("<I", 2**32 - 1) + data[4:], None),
        ("an element longer by one", document, struct.pack("<I", size - 3) + data[4:], None),
        ("an element shorter by one", document, struct.pack("<I", size - 5) + data[4:], None),
        ("lengths of the other end", document, struct.pack(">I", size - 4) + data[4:], None),
        (
            "two elements for one",
            {"inputs": [tensor(data=None, shape=[1], parameters={"binary_data_size": 2 * size})]},
            data * 2,
            None,
        ),
        (
            "one element for two",
            {"inputs": [tensor(data=None, shape=[2], parameters={"binary_data_size": size})]},
            data,
            None,
        ),
        ("pixels missing", {"inputs": [tensor(**rgb)]}, bytes(11), None),
        ("pixels too many", {"inputs": [tensor(**rgb | {"shape": [1, 1, 1, 3]})]}, bytes(12), None),
        (
            "floats that are bytes",
            {"inputs": [tensor(**fp32 | {"parameters": {"binary_data_size": 12}})]},
            bytes(12),
            None,
        ),
        ("not a number", {"inputs": [tensor(**fp32)]}, struct.pack("<12f", *[float("nan")] * 12), None),
        ("infinite", {"inputs": [tensor(**fp32)]}, struct.pack("<12f", *[float("inf")] * 12), None),
        ("negative", {"inputs": [tensor(**fp32)]}, struct.pack("<12f", *[-3.0] * 12), None),
        ("huge", {"inputs": [tensor(**fp32)]}, struct.pack("<12f", *[3e38] * 12), None),
    ]
    case, document, binary, length = pick_case(cases, index)
    return FuzzRequest(case, *with_binary(rng.choice(V2), document, binary, length))


def odd_binary(rng: Random, index: int) -> FuzzRequest:
    """Send a good binary request with a change anywhere, or with two length headers."""
    binary = length_prefixed([any_image(rng)])
    document = {"inputs": [tensor(data=None, parameters={"binary_data_size": len(binary)})]}
    path, headers, body = with_binary(rng.choice(V2), document, binary)
    cases: tuple[tuple[str, Headers, bytes], ...] = (
        ("length twice", (*headers, headers[1]), body),
        ("two lengths", (*headers, (LENGTH, "7")), body),
        ("no length", headers[:1], body),
        ("as JSON", (("Content-Type", JSON), headers[1]), body),
        ("as an image", (("Content-Type", "image/png"), headers[1]), body),
        *((f"changed: {mutate.__name__.strip('_')}", headers, mutate(rng, body)) for mutate in MUTATIONS),
    )
    case, headers, body = pick_case(cases, index)
    return FuzzRequest(case, path, headers, body, REFUSED_OR_OK)


def _json(rng: Random, document: Any, accepted: frozenset[int] = REFUSED) -> FuzzRequest:
    body = to_json(document)
    shown = body if len(body) < 160 else body[:50] + b" ... " + body[-100:]
    return FuzzRequest(f"{shown.decode()} ({len(body):,} bytes)", rng.choice(V2), content_type(JSON), body, accepted)
