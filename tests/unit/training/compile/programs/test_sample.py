from __future__ import annotations

import torch

from models.card import Input
from training.compile.programs.sample import draw
from training.data.dataset import Split
from training.loop.loader import load

SPEC = Input(size=4, mean=(0, 0, 0), std=(1, 1, 1))


def split(counts: list[int]) -> Split:
    """So many images of each class, which is also their color."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return Split([torch.full((4, 4, 3), 10 * label, dtype=torch.uint8).numpy() for label in labels], labels)


def test_the_classes_come_in_turn_however_rare() -> None:
    found = draw(load(split([300, 300, 3]), SPEC, torch.device("cpu")), SPEC, 12)
    colors = (found[:, 0, 0, 0] // 10).bincount().tolist()
    assert found.shape == (12, 3, 4, 4)
    assert colors in ([5, 4, 3], [4, 5, 3])


def test_sample_is_reproducible_and_at_most_the_whole_split() -> None:
    source = load(split([3, 4]), SPEC, torch.device("cpu"))
    assert torch.equal(draw(source, SPEC), draw(source, SPEC))
    assert len(draw(source, SPEC)) == 7
