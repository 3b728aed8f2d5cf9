"""Seeded bad requests without end. Each one can be made again from its seed and number.

A server must refuse every request with a 4xx. A few, such as an image with one flipped bit, may by chance be valid and
then get a 200. No request may get a 5xx, hang, end a worker, or change the response to another request in its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from tests.fuzz.corpus import (
    bombs,
    envelope,
    json_documents,
    multipart,
    mutations,
    npy_arrays,
    options,
    paths,
    unsupported_formats,
    v1_instances,
    v2_tensors,
)
from tests.fuzz.corpus.request import Family, FuzzRequest

__all__ = ["FAMILIES", "Family", "WireRequest", "bad_request", "bad_requests"]

# Number of requests of each family in a round of some 150 requests.
FAMILIES: dict[Family, int] = {
    mutations.mutated: 12,
    mutations.chunk_mutated: 6,
    mutations.shuffled: 2,
    mutations.truncated: 6,
    bombs.huge_png: 2,
    bombs.huge_jpeg: 2,
    bombs.huge_webp: 1,
    bombs.heavy: 1,
    bombs.many_pixels: 1,
    bombs.stuffed: 2,
    bombs.animated: 2,
    unsupported_formats.foreign: 6,
    unsupported_formats.disguised: 3,
    unsupported_formats.polyglot: 2,
    multipart.form_envelope: 4,
    multipart.form_headers: 5,
    multipart.form_parts: 3,
    multipart.form_mutated: 4,
    json_documents.no_json: 4,
    json_documents.wrong_shape: 4,
    json_documents.two_meanings: 1,
    json_documents.wrong_base64: 4,
    json_documents.json_mutated: 4,
    v1_instances.wrong_instances: 3,
    v1_instances.wrong_instance: 4,
    v1_instances.wrong_array: 3,
    v1_instances.odd_instances: 1,
    v2_tensors.wrong_tensor: 6,
    v2_tensors.wrong_inference: 4,
    v2_tensors.odd_inference: 2,
    v2_tensors.wrong_binary: 4,
    v2_tensors.odd_binary: 2,
    npy_arrays.npy_header: 4,
    npy_arrays.npy_values: 3,
    npy_arrays.npy_odd: 2,
    options.wrong_option: 5,
    options.unknown_option: 3,
    options.contradicting: 2,
    options.odd_query: 2,
    options.odd_header: 3,
    envelope.wrong_type: 3,
    envelope.encoded: 1,
    envelope.empty: 2,
    envelope.too_large: 1,
    envelope.hardly_http: 2,
    paths.absent: 6,
    paths.other_method: 3,
    paths.odd_target: 1,
}
_ROUND = tuple(family for family, weight in FAMILIES.items() for _ in range(weight))


def bad_requests(count: int, seed: int) -> Iterator[FuzzRequest]:
    """Return the first `count` requests of a seed. Every round of them holds each family as often as FAMILIES says."""
    return (bad_request(seed, number) for number in range(count))


def bad_request(seed: int, number: int) -> FuzzRequest:
    """Return one request, by the seed and the number that its report names."""
    round_number, position = divmod(number, len(_ROUND))
    families = list(_ROUND)
    Random(f"{seed} {round_number}").shuffle(families)
    family = families[position]
    # Each seed starts at other cases, so that short runs differ.
    offset = Random(f"{seed} {family.__name__}").randrange(1_000)
    index = offset + round_number * FAMILIES[family] + families[:position].count(family)
    request = family(Random(f"{seed} {number} {family.__name__}"), index)
    return replace(request, family=family.__name__, seed=seed, number=number)
