from __future__ import annotations

import pytest
import torch

from handlers.explain.methods import patches
from handlers.explain.methods.row_limit import MAX_ROWS


def test_the_evidence_of_a_patch_is_the_mean_of_its_pixels() -> None:
    heat = torch.zeros(2, 32, 32)
    heat[1, 4:8, 8:12] = 2
    heat[1, 4, 8] = -14
    result = patches.evidence(heat)
    assert result.shape == (2, 8, 8)
    assert result.nonzero().tolist() == [[1, 1, 2]]
    assert float(result[1, 1, 2]) == 1


@pytest.mark.parametrize(("height", "width", "shape"), [(28, 30, (8, 8)), (5, 64, (5, 8)), (1, 1, (1, 1))])
def test_every_pixel_has_a_patch_whatever_the_size(height: int, width: int, shape: tuple[int, int]) -> None:
    result = patches.evidence(torch.ones(1, height, width))
    assert result.shape == (1, *shape)
    assert torch.allclose(result, torch.ones(1, *shape))
    numbers = torch.arange(shape[0] * shape[1]).reshape(1, *shape)
    assert set(patches.pixels(numbers, height, width).flatten().tolist()) == set(range(shape[0] * shape[1]))


def test_replacement_changes_only_the_chosen_patches() -> None:
    removed = torch.zeros(2, 8, 8, dtype=torch.bool)
    removed[0, 0, 7] = True
    result = patches.without(torch.zeros(2, 3, 16, 16), torch.ones(2, 3, 16, 16), removed)
    assert float(result.sum()) == 3 * 2 * 2
    assert float(result[0, :, :2, 14:].sum()) == 3 * 2 * 2


def test_no_pass_has_more_rows_than_are_allowed() -> None:
    rows = []

    def logits(images: torch.Tensor) -> torch.Tensor:
        rows.append(len(images))
        return images[:, 0, 0, :2]

    images = torch.rand(2 * MAX_ROWS + 3, 3, 2, 2)
    assert torch.equal(patches.chunked(logits, len(images), lambda part: images[part], MAX_ROWS), images[:, 0, 0])
    assert rows == [MAX_ROWS, MAX_ROWS, 3]
