from __future__ import annotations

import hashlib
from collections import Counter
from functools import cache
from random import Random

import pytest

from handlers.errors import RequestError
from handlers.modalities.image import images
from tests.fuzz.corpus import FAMILIES, Family, bad_request, bad_requests
from tests.fuzz.corpus.request import WireRequest
from tests.fuzz.corpus.valid_images import good_images, join_png, png_chunks, pngs
from tests.unit.handlers.modalities.image.test_images import decoded

# All that sends images, but for the one of heavy ones, which would take long.
IMAGES = [
    family for family in FAMILIES if family.__module__.endswith((".mutations", ".foreign")) or "huge" in family.__name__
]
DECK = sum(FAMILIES.values())


@cache
def sample() -> list[WireRequest]:
    return list(bad_requests(3 * DECK, seed=7))


def digest(request: WireRequest) -> str:
    return hashlib.sha256(request.wire()).hexdigest()


def test_a_seed_makes_the_same_requests_again_and_each_of_them_alone() -> None:
    again = list(bad_requests(DECK, seed=7))
    assert [digest(request) for request in again] == [digest(request) for request in sample()[:DECK]]
    assert bad_request(7, 2 * DECK + 5) == sample()[2 * DECK + 5]


def test_another_seed_makes_others() -> None:
    ours = {digest(request) for request in sample()}
    theirs = {digest(request) for request in bad_requests(DECK, seed=8)}
    assert len(theirs - ours) > 0.8 * DECK


def test_every_deal_has_each_family_as_often_as_it_weighs() -> None:
    weights = {family.__name__: weight for family, weight in FAMILIES.items()}
    for first in range(0, 3 * DECK, DECK):
        assert Counter(request.family for request in sample()[first : first + DECK]) == weights
    assert DECK <= 200, "500 requests hold every family more than twice"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_every_family_makes_many_different_requests(family: Family) -> None:
    made = [family(Random(turn), turn) for turn in range(12)]
    assert len({digest(request) for request in made}) >= 8
    assert len({request.case for request in made}) >= 3


def test_every_request_has_a_refusal_among_what_it_accepts_and_no_server_error() -> None:
    for request in sample():
        assert any(400 <= status < 500 for status in request.accepted), request
        assert not request.accepted & {500, 502, 503, 504, 507}, request


def test_every_road_is_taken() -> None:
    taken: Counter[str] = Counter()
    for request in sample():
        for road in ("/predictions/", "/explanations/", ":predict", ":explain", "/infer", "/explain", "/invocations"):
            taken[road] += road in request.path
    assert min(taken.values()) > 10, dict(taken)


def test_a_request_names_itself_well_enough_to_be_made_again() -> None:
    request = sample()[20]
    assert f"{request.family} (seed 7, number 20)" in str(request)


def test_the_wire_has_a_host_and_a_length_unless_they_are_the_point() -> None:
    plain = WireRequest("c", "/p", (("X-A", "\xff"),), b"body").wire()
    assert plain == b"POST /p HTTP/1.1\r\nHost: torchlight\r\nX-A: \xff\r\nContent-Length: 4\r\n\r\nbody"
    lying = WireRequest("c", "/p", (("content-length", "9"), ("HOST", "h")), b"body", method="PUT").wire()
    assert lying == b"PUT /p HTTP/1.1\r\ncontent-length: 9\r\nHOST: h\r\n\r\nbody"


def test_good_images_are_good_and_chunks_can_be_taken_apart_and_joined() -> None:
    assert all(decoded(content).mode in ("RGB", "L") for content in good_images())
    assert all(join_png(png_chunks(content)) == content for content in pngs())


@pytest.mark.parametrize("family", IMAGES, ids=lambda family: family.__name__)
def test_what_is_said_of_images_is_what_the_decoder_says(family: Family) -> None:
    for turn in range(24):
        request = family(Random(turn), turn)
        if dict(request.headers).get("Content-Type", "image/").startswith("image/"):
            try:
                images.decode(request.body)
                status = 200
            except RequestError as error:
                status = error.status
            assert status in request.accepted, request
