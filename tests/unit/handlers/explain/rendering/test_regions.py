from __future__ import annotations

import pytest
import torch

from handlers.explain.rendering import regions
from handlers.explain.rendering.regions import Region, Regions


def blocks(*result: tuple[slice, slice, float]) -> torch.Tensor:
    heat = torch.zeros(32, 32)
    for rows, columns, value in result:
        heat[rows, columns] = value
    return heat


def test_a_block_of_evidence_is_found_where_it_is() -> None:
    result = regions.find(blocks((slice(4, 12), slice(6, 14), 1)), (320, 320))
    (region,) = result.evidence_for
    assert result.against == ()
    assert result.balance == 1
    assert region.share > 0.8
    assert all(abs(edge - right) <= 20 for edge, right in zip(region.box, (60, 40, 140, 120), strict=True))
    assert (
        regions.sentence(result, "frog")
        == f'{100 * region.share:.0f} % of the evidence for "frog" lies in the upper left.'
    )


def test_boxes_are_in_pixels_of_the_picture_however_it_was_stretched() -> None:
    heat = blocks((slice(16, 32), slice(0, 16), 1))
    (square,) = regions.find(heat, (32, 32)).evidence_for
    (wide,) = regions.find(heat, (640, 96)).evidence_for
    left, top, right, bottom = square.box
    assert wide.box == (20 * left, 3 * top, 20 * right, 3 * bottom)


def test_several_places_are_named_the_fullest_first_and_boxes_do_not_overlap() -> None:
    heat = blocks((slice(2, 8), slice(2, 8), 1), (slice(18, 28), slice(18, 28), 1), (slice(1, 6), slice(26, 31), 1))
    result = regions.find(heat, (32, 32)).evidence_for
    assert [region.position for region in result] == [
        "in the lower right",
        "in the upper left corner",
        "in the upper right corner",
    ]
    assert [region.share for region in result] == sorted((region.share for region in result), reverse=True)
    assert 0.7 < sum(region.share for region in result) <= 1
    covered = torch.zeros(32, 32)
    for left, top, right, bottom in (region.box for region in result):
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


def test_evidence_against_has_boxes_of_its_own_and_is_spoken_of_where_it_is_much() -> None:
    strong = regions.find(blocks((slice(0, 16), slice(0, 16), 1), (slice(16, 32), slice(16, 32), -1)), (32, 32))
    assert [region.position for region in strong.against] == ["in the lower right"]
    assert strong.balance == pytest.approx(0.5, abs=0.01)
    assert regions.sentence(strong, "frog").endswith(" % of that in the lower right.")
    assert "50 % of all evidence speaks against it" in regions.sentence(strong, "frog")
    weak = regions.find(blocks((slice(0, 16), slice(0, 16), 1), (slice(16, 32), slice(16, 32), -0.2)), (32, 32))
    assert len(weak.against) == 1
    assert "against" not in regions.sentence(weak, "frog")


def test_evidence_that_cancels_locally_makes_no_region() -> None:
    noise = (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    quiet = regions.find(blocks((slice(4, 12), slice(6, 14), 0.5)), (32, 32))
    assert regions.find(noise + blocks((slice(4, 12), slice(6, 14), 0.5)), (32, 32)) == quiet


@pytest.mark.parametrize("height", [1.0, 1e-12, 1e12])
def test_even_evidence_is_said_to_be_spread(height: float) -> None:
    result = regions.find(torch.full((32, 32), height), (32, 32))
    assert result == Regions((), (), 1.0)
    assert regions.sentence(result, "frog") == 'The evidence for "frog" is spread over the whole image.'


@pytest.mark.parametrize("side", [1, 3, 8, 30, 224])
def test_a_map_of_zeros_says_nothing(side: int) -> None:
    result = regions.find(torch.zeros(side, side), (640, 480))
    assert result.members() == {"for": [], "against": [], "balance": None}
    assert regions.sentence(result, "frog") == 'There is no evidence for or against "frog".'


def test_all_negative_evidence_has_no_regions_for_the_class() -> None:
    result = regions.find(-blocks((slice(0, 16), slice(16, 32), 1)), (32, 32))
    share = f"{100 * result.against[0].share:.0f} %"
    assert result.evidence_for == ()
    assert regions.sentence(result, "frog") == (
        f'There is no evidence for "frog". 100 % of all evidence speaks against it, {share} of that in the upper right.'
    )


@pytest.mark.parametrize(("row", "column"), [(0, 0), (31, 31), (13, 20)])
def test_single_pixel_of_evidence_makes_a_region(row: int, column: int) -> None:
    heat = torch.zeros(32, 32)
    heat[row, column] = 5
    (region,) = regions.find(heat, (64, 64)).evidence_for
    left, top, right, bottom = region.box
    assert left <= 2 * column < right <= left + 12
    assert top <= 2 * row < bottom <= top + 12
    assert (left, top) >= (0, 0)
    assert max(right, bottom) <= 64


@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 40), (7, 7), (224, 30)])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (500, 20)])
def test_boxes_lie_in_the_picture_and_are_never_empty(h: int, w: int, size: tuple[int, int]) -> None:
    result = regions.find(torch.randn(h, w, generator=torch.Generator().manual_seed(3)), size)
    for left, top, right, bottom in (region.box for region in (*result.evidence_for, *result.against)):
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (slice(0, 4), slice(0, 4), "in the upper left corner"),
        (slice(28, 32), slice(28, 32), "in the lower right corner"),
        (slice(0, 32), slice(18, 32), "in the right half"),
        (slice(0, 14), slice(0, 32), "in the upper half"),
        (slice(12, 20), slice(12, 20), "in the middle"),
        (slice(0, 10), slice(11, 21), "in the middle of the top"),
        (slice(12, 20), slice(0, 32), "in a band across the middle"),
    ],
)
def test_places_have_plain_names(rows: slice, columns: slice, expected: str) -> None:
    assert regions.find(blocks((rows, columns, 1)), (32, 32)).evidence_for[0].position == expected


def test_boxes_of_one_place_are_one_place_and_a_contrast_names_both() -> None:
    result = Regions(
        (
            Region((0, 0, 9, 9), 0.4, "in the upper left"),
            Region((20, 20, 29, 29), 0.3, "in the middle"),
            Region((9, 0, 12, 9), 0.2, "in the upper left"),
        ),
        (),
        0.9,
    )
    assert regions.sentence(result, "frog", against="cat") == (
        '60 % of the evidence for "frog" rather than "cat" lies in the upper left, 30 % in the middle.'
    )
    assert result.members()["for"][0] == {"box": [0, 0, 9, 9], "share": 0.4}
