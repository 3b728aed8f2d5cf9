from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr

from serving.rollout.shadow.reasons import maps, picture, rank_correlation


def test_the_rank_correlation_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 20, (8, 7)).astype(float)  # with ties; each value is a region
    second = np.abs(first + random.normal(0, 8, first.shape).round())
    assert rank_correlation(first, second) == pytest.approx(
        spearmanr(first.ravel(), second.ravel()).statistic, abs=1e-6
    )


def test_the_size_of_values_does_not_matter() -> None:
    heat = np.linspace(1, 2, 30).reshape(5, 6)
    assert rank_correlation(heat, np.exp(heat)) == 1.0
    assert rank_correlation(heat, 1 / heat) == -1.0


def test_pixels_and_signs_within_a_region_do_not_matter() -> None:
    random = np.random.default_rng(0)
    strength = np.kron(random.uniform(1, 9, (8, 8)), np.ones((4, 4)))
    first, second = (strength * random.choice([-1, 1], strength.shape) for _ in range(2))
    assert abs(spearmanr(first.ravel(), second.ravel()).statistic) < 0.1
    assert rank_correlation(first, second) == 1.0


def test_evidence_in_another_region_lowers_the_correlation() -> None:
    random = np.random.default_rng(0)
    first = random.uniform(0, 0.1, (32, 32))
    second = random.uniform(0, 0.1, (32, 32))
    first[8:20, 8:20], second[1:6, 1:6] = 1, 1
    assert rank_correlation(first, second) < 0.4


@pytest.mark.parametrize("shape", [(5, 6), (30, 35), (224, 224)])
def test_maps_of_every_size_have_regions(shape: tuple[int, int]) -> None:
    heat = np.random.default_rng(0).normal(size=shape)
    assert rank_correlation(heat, heat) == 1.0


def test_a_constant_map_correlates_with_nothing() -> None:
    heat = np.arange(4.0).reshape(2, 2)
    assert rank_correlation(heat, np.full((2, 2), 0.1)) == 0.0


def test_maps_of_two_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shapes"):
        rank_correlation(np.ones((2, 2)), np.ones((3, 2)))


@pytest.mark.parametrize(("shape", "expected"), [((4, 5), (1, 4, 5)), ((3, 4, 5), (3, 4, 5))])
def test_one_map_or_several_are_read(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(shape, np.float16))
    assert maps(buffer.getvalue()).shape == expected


@pytest.mark.parametrize("body", [b"", b"{}", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False"])
def test_other_bodies_are_no_maps(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        maps(body)


def test_evidence_for_the_class_is_red_and_against_it_blue() -> None:
    image = Image.open(io.BytesIO(picture(np.array([[1.0, 0.0], [0.0, -1.0]]))))
    assert image.size == (224, 224)
    assert image.getpixel((10, 10)) == (103, 0, 31)
    assert image.getpixel((200, 10)) == (247, 247, 247)
    assert image.getpixel((200, 200)) == (5, 48, 97)
