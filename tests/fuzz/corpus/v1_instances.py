"""Wrong JSON bodies of the v1 protocol, `{"instances": [...]}`."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fuzz.corpus.request import REFUSED, REFUSED_OR_OK, FuzzRequest, pick_case
from tests.fuzz.corpus.routes import JSON, NATIVE, V1, b64, content_type, to_json
from tests.fuzz.corpus.valid_images import pngs

TEXT = b64(pngs()[0])
GOOD = {"b64": TEXT}
PIXEL = [0, 128, 255]
ARRAY = [[PIXEL, PIXEL], [PIXEL, PIXEL]]
HUGE = 10**30


def wrong_instances(rng: Random, index: int) -> FuzzRequest:
    """Send a wrong list of instances, or wrong members beside it."""
    lists: tuple[Any, ...] = (None, {}, "text", TEXT, 3, True, [], [[]], [None], [True], [3], [1e300])
    elements: tuple[Any, ...] = (None, {}, "", 3, [], "@", {"b64": "AAAA"}, {"b64": b64(b"x")})
    parameters: tuple[Any, ...] = (
        "top_k=1",
        [1],
        {"color": "red"},
        {"top_k": "many"},
        {"top_k": [1]},
        {"top_k": HUGE},
    )
    documents: list[Any] = [{"instances": value} for value in lists]
    documents += [{"instances": [GOOD, value]} for value in elements]
    documents += [{"instances": [GOOD], "parameters": value} for value in parameters]
    documents += [
        {"instances": [GOOD] * 65},
        {"instances": [ARRAY] * 65},
        {"instances": [{}] * 100_000},
        {"instance": [GOOD]},
        {"Instances": [GOOD]},
    ]
    return _request(rng, pick_case(documents, index))


def wrong_instance(rng: Random, index: int) -> FuzzRequest:
    """Send one wrong instance that is an object."""
    values: tuple[Any, ...] = (None, 3, True, [], {}, "", "@@@", ["AAAA"], {"b64": TEXT}, HUGE)
    nested: tuple[Any, ...] = (None, 3, [], {}, "text", {"b64": None}, {"b64": [TEXT]}, {"x": 1})
    images: tuple[Any, ...] = (None, 3, True, {}, "@", "text")
    instances: list[Any] = [{"b64": value} for value in values]
    instances += [{"image_bytes": value} for value in nested]
    instances += [{"image": value} for value in images]
    instances += [
        {**GOOD, "color": "red"},
        {**GOOD, "top_k": "many"},
        {**GOOD, "top_k": -1},
        {"b65": TEXT},
        {"": TEXT},
    ]
    instances += [{**GOOD, "parameters": 3}, {**GOOD, "parameters": {"color": 1}}]
    return _request(rng, {"instances": [pick_case(instances, index)]})


def wrong_array(rng: Random, index: int) -> FuzzRequest:
    """Send one instance that is a nested list, but not an image."""
    arrays: tuple[Any, ...] = (
        [1, 2, 3],
        [[[]]],
        [[PIXEL, PIXEL], [PIXEL]],
        [[PIXEL, [1, 2]], [PIXEL, PIXEL]],
        [[PIXEL, 3], [PIXEL, PIXEL]],
        [[[0, 1], [2, 3]], [[4, 5], [6, 7]]],
        [[[0, 1, 2, 3, 4]] * 2] * 2,
        [[[[0, 1, 2]]]],
        [[["0", "1", "2"]]],
        [[["a", "b", "c"]]],
        [[[None, 1, 2]]],
        [[[{}, 1, 2]]],
        [[[0, 1, -1]]],
        [[[0, 1, 256]]],
        [[[0, 1, HUGE]]],
        [[[0, 1, -(2**63)]]],
        [[[0, 1, 2**64]]],
        [[[0.0, 0.5, 1.5]]],
        [[[0.0, 0.5, -0.5]]],
        [[[0.0, 0.5, 1e300]]],
        [[[0.5, 0.5, float("nan")]]],
        [[[0.5, 0.5, float("inf")]]],
        [[], []],
        [[[], []], [[], []]],
        [["x" * 1_000] * 500] * 3,
        _deep(500),
    )
    return _request(rng, {"instances": [pick_case(arrays, index)]})


def odd_instances(rng: Random, index: int) -> FuzzRequest:
    """Send instances that some servers accept. The server may accept or refuse them."""
    return _request(
        rng,
        pick_case(
            (
                {"instances": [[[PIXEL]]]},
                {"instances": [[[[True, False, True]]]]},
                {"instances": [[[[0, 0.5, 1]]]]},
                {"instances": [[[[0, 0, 300.5]]]]},
                {"instances": [GOOD], "signature_name": 5},
                {"instances": [GOOD], "inputs": [GOOD]},
                {"inputs": [GOOD]},
                {"instances": [{**GOOD, "image": TEXT}]},
                {"instances": [GOOD, TEXT, ARRAY, {"image": TEXT}]},
                {"instances": [[[0] * 2_000] * 1_000]},
                {"instances": [[[0]] * 100_000]},
                {"instances": [[[0.25] * 4] * 3]},
            ),
            index,
        ),
        REFUSED_OR_OK,
    )


def _request(rng: Random, document: Any, accepted: frozenset[int] = REFUSED) -> FuzzRequest:
    body = to_json(document)
    path = rng.choice((*V1, *V1, *NATIVE))
    return FuzzRequest(f"{body[:60].decode()} ({len(body):,} bytes)", path, content_type(JSON), body, accepted)


def _deep(levels: int) -> Any:
    array: Any = 0
    for _ in range(levels):
        array = [array]
    return array
