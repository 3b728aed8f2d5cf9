from __future__ import annotations

import pytest
import torch

from handlers.explain.evidence import counterfactual
from handlers.explain.evidence.counterfactual import Counterfactual
from handlers.explain.methods.row_limit import MAX_ROWS

IMAGE, BLURRED = torch.ones(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
PAIR = [(2, 3), (2, 4)]


def both_gone(images: torch.Tensor) -> torch.Tensor:
    """Class 1 while one of the two patches of PAIR is bright, class 2 where both are dark."""
    seen = torch.stack([images[:, 0, 2 * row, 2 * column] for row, column in PAIR]).amax(dim=0)
    return torch.stack([torch.full_like(seen, -5), 4 * seen, 2 * torch.ones_like(seen)], dim=1)


def heat(*patches: tuple[int, int]) -> torch.Tensor:
    """Evidence in these patches of 2 x 2 pixels, the most in the first."""
    result = torch.zeros(16, 16)
    for patch, (row, column) in enumerate(patches):
        result[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1 - patch / 100
    return result


def test_counterfactual_blurs_the_decisive_patches() -> None:
    result = counterfactual.find(both_gone, IMAGE, BLURRED, heat(*PAIR), 1, (80, 160))
    assert result == Counterfactual(((30, 40, 50, 60),), 2 / 64, 2, pytest.approx(0.88009, abs=1e-5))
    assert result.members() == {
        "boxes": [[30, 40, 50, 60]],
        "share": 0.031,
        "index": 2,
        "probability": pytest.approx(0.88009, abs=1e-5),
    }


def test_patches_that_were_not_needed_are_put_back() -> None:
    misled = heat((0, 0), (7, 7), PAIR[1], (5, 5), (0, 1), PAIR[0])
    result = counterfactual.find(both_gone, IMAGE, BLURRED, misled, 1, (16, 16))
    assert result is not None
    assert result.boxes == ((6, 4, 10, 6),)


def test_counterfactual_is_found_with_an_empty_map() -> None:
    result = counterfactual.find(both_gone, IMAGE, BLURRED, torch.zeros(16, 16), 1, (16, 16))
    assert result is not None
    assert result.boxes == ((6, 4, 10, 6),)


def test_counterfactual_is_none_when_blurring_changes_nothing() -> None:
    assert counterfactual.find(both_gone, IMAGE, IMAGE, heat(*PAIR), 1, (16, 16)) is None


def test_counterfactual_is_none_for_a_class_that_is_not_predicted() -> None:
    assert counterfactual.find(both_gone, IMAGE, BLURRED, heat(*PAIR), 0, (16, 16)) is None


def test_patches_beside_and_below_each_other_are_one_box() -> None:
    def corner_gone(images: torch.Tensor) -> torch.Tensor:
        """Class 0 unless 2 x 3 patches in the lower left corner, and the one in the upper right, are dark."""
        seen = torch.maximum(images[:, 0, 12:, :6].amax(dim=(1, 2)), images[:, 0, :2, 14:].amax(dim=(1, 2)))
        return torch.stack([seen, 0.5 * torch.ones_like(seen)], dim=1)

    result = counterfactual.find(corner_gone, IMAGE, BLURRED, torch.zeros(16, 16), 0, (16, 16))
    assert result is not None
    assert sorted(result.boxes) == [(0, 12, 6, 16), (14, 0, 16, 2)]
    assert result.share == 7 / 64


def test_passes_are_bounded_however_hard_it_is() -> None:
    torch.manual_seed(0)
    weights = torch.randn(2, 3 * 16 * 16)
    rows: list[int] = []

    def counts(images: torch.Tensor) -> torch.Tensor:
        rows.append(len(images))
        return images.flatten(1) @ weights.T

    image = torch.randn(1, 3, 16, 16)
    index = int((image.flatten(1) @ weights.T).argmax())
    counterfactual.find(counts, image, BLURRED, torch.randn(16, 16), index, (16, 16))
    assert max(rows) <= MAX_ROWS
    assert len(rows) <= 2 + 2 * counterfactual.ROUNDS


def test_a_small_image_has_fewer_patches() -> None:
    result = counterfactual.find(
        lambda images: torch.stack([images.sum(dim=(1, 2, 3)), torch.full((len(images),), 30.0)], dim=1),
        torch.ones(1, 3, 4, 4),
        torch.zeros(1, 3, 4, 4),
        torch.zeros(4, 4),
        0,
        (4, 4),
    )
    assert result is not None
    assert result.share == 7 / 16  # 27 of 48 are the first that are less than 30
