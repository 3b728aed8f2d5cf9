"""Drawn screenshots."""

from __future__ import annotations

import numpy as np

from training.battery import screenshots


def test_screenshot_has_paper_text_and_a_size_of_a_screen() -> None:
    drawn = [screenshots.draw(number) for number in range(8)]
    assert {pixels.shape[1::-1] for pixels in drawn} == set(screenshots.SIZES)
    for pixels in drawn:
        colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
        assert counts.max() > 0.3 * counts.sum(), "most of it is paper"
        assert len(colors) > 20, "text has soft edges"


def test_screenshot_is_the_same_each_time() -> None:
    assert np.array_equal(screenshots.draw(3), screenshots.draw(3))
    assert not np.array_equal(screenshots.draw(3), screenshots.draw(7))
