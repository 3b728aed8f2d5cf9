from __future__ import annotations

import numpy as np
import pytest

from handlers.explain.rendering import colormaps

# What is left of linear RGB where one kind of cone is missing (Machado et al. 2009, doi 10.1109/TVCG.2009.113).
SEEN_BY = {
    "all cones": np.eye(3),
    "deuteranopes": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopes": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "tritanopes": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(color: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """SRGB -> CIE L*a*b*, in which a distance of 2 is just noticed."""
    linear = (((color / 255 + 0.055) / 1.055) ** 2.4 @ seen.T).clip(0, 1)
    x, y, z = np.moveaxis(np.cbrt(linear @ TO_XYZ.T / WHITE), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("seen", SEEN_BY.values(), ids=SEEN_BY)
@pytest.mark.parametrize("name", colormaps.NAMES)
def test_for_and_against_are_told_apart_by_everybody(name: str, seen: np.ndarray) -> None:
    laid = lab(colormaps.tints(name).astype(float), seen)
    assert np.linalg.norm(laid[:127] - laid[:-128:-1], axis=1).min() > 35


@pytest.mark.parametrize("name", colormaps.NAMES)
def test_the_warm_end_speaks_for_and_the_cold_one_against(name: str) -> None:
    against, both = colormaps.ramp(name)[20].astype(int), colormaps.ramp(name)[234].astype(int)
    assert both[0] > both[2]
    assert against[2] > against[0]


@pytest.mark.parametrize("name", colormaps.NAMES)
def test_lightness_goes_one_way_from_the_middle_to_each_end(name: str) -> None:
    light = lab(colormaps.ramp(name).astype(float), SEEN_BY["all cones"])[:, 0]
    outward = -1 if light[127] > light[0] else 1
    for half in (light[:120][::-1], light[135:]):
        assert (np.diff(half) * outward > -0.2).all()


def test_every_share_of_the_scale_has_a_level() -> None:
    assert colormaps.levels(np.array([-1.0, 0.0, 1.0])).tolist() == [0, 127, 254]
    assert np.array_equal(colormaps.levels(colormaps.shares()), np.arange(255))
