"""The corpus of bad requests: repeatable, varied, and with the statuses that each request may get."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cache
from random import Random

import pytest

from handlers.errors import RequestError
from handlers.modalities.image import images
from tests.fuzz.corpus import FAMILIES, Family, bad_request, bad_requests
from tests.fuzz.corpus.request import FuzzRequest
from tests.fuzz.corpus.valid_images import good_images, join_png, png_chunks, pngs
from tests.unit.handlers.modalities.image.test_images import decoded

# All families of images except the expensive ones, which take long.
IMAGES = [
    family
    for family in FAMILIES
    if family.__module__.endswith((".mutations", ".unsupported_formats")) or "huge" in family.__name__
]
ROUND = sum(FAMILIES.values())


@cache
def sample() -> list[FuzzRequest]:
    return list(bad_requests(3 * ROUND, seed=7))


def digest(request: FuzzRequest) -> str:
    return hashlib.sha256(request.to_bytes()).hexdigest()


@pytest.mark.slow
def test_seed_makes_the_same_requests_again_as_a_series_and_one_by_one() -> None:
    repeated = list(bad_requests(ROUND, seed=7))
    assert [digest(request) for request in repeated] == [digest(request) for request in sample()[:ROUND]]
    assert bad_request(7, 2 * ROUND + 5) == sample()[2 * ROUND + 5]


def test_seeds_make_different_requests() -> None:
    seed_7 = {digest(request) for request in sample()}
    seed_8 = {digest(request) for request in bad_requests(ROUND, seed=8)}
    assert len(seed_8 - seed_7) > 0.8 * ROUND


def test_every_round_holds_each_family_as_often_as_its_weight() -> None:
    weights = {family.__name__: weight for family, weight in FAMILIES.items()}
    for start in range(0, 3 * ROUND, ROUND):
        assert Counter(request.family for request in sample()[start : start + ROUND]) == weights
    assert ROUND <= 200, "500 requests hold every family more than twice"


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_family_makes_many_different_requests(family: Family) -> None:
    requests = [family(Random(index), index) for index in range(12)]
    assert len({digest(request) for request in requests}) >= 8
    assert len({request.case for request in requests}) >= 3


def test_accepted_statuses_have_a_client_error_and_no_server_error() -> None:
    for request in sample():
        assert any(400 <= status < 500 for status in request.accepted), request
        assert not request.accepted & {500, 502, 503, 504, 507}, request


def test_requests_use_every_route() -> None:
    uses: Counter[str] = Counter()
    for request in sample():
        for route in ("/predictions/", "/explanations/", ":predict", ":explain", "/infer", "/explain", "/invocations"):
            uses[route] += route in request.path
    assert min(uses.values()) > 10, dict(uses)


def test_request_names_its_family_seed_and_number() -> None:
    request = sample()[20]
    assert f"{request.family} (seed 7, number 20)" in str(request)


def test_bytes_of_a_request_have_host_and_length_unless_its_headers_override_them() -> None:
    complete = FuzzRequest("c", "/p", (("X-A", "\xff"),), b"body").to_bytes()
    assert complete == b"POST /p HTTP/1.1\r\nHost: torchlight\r\nX-A: \xff\r\nContent-Length: 4\r\n\r\nbody"
    overridden = FuzzRequest("c", "/p", (("content-length", "9"), ("HOST", "h")), b"body", method="PUT").to_bytes()
    assert overridden == b"PUT /p HTTP/1.1\r\ncontent-length: 9\r\nHOST: h\r\n\r\nbody"


def test_good_images_decode_and_png_chunks_split_and_join() -> None:
    assert all(decoded(content).mode in ("RGB", "L") for content in good_images())
    assert all(join_png(png_chunks(content)) == content for content in pngs())


@pytest.mark.parametrize("family", IMAGES, ids=lambda family: family.__name__)
def test_accepted_statuses_of_images_match_the_decoder(family: Family) -> None:
    for index in range(24):
        request = family(Random(index), index)
        if dict(request.headers).get("Content-Type", "image/").startswith("image/"):
            try:
                images.decode(request.body)
                status = 200
            except RequestError as error:
                status = error.status
            assert status in request.accepted, request
