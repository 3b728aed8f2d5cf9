"""Sets of a battery, and the choice of its images."""

from __future__ import annotations

import torch

from models.card import Input
from training.battery import battery_sets, sample
from training.battery.changes import CHANGES
from training.battery.foreign import FOREIGN

SPEC = Input(size=8, mean=(0, 0, 0), std=(1, 1, 1))


def test_battery_has_the_changed_images_and_then_the_foreign_ones() -> None:
    pixels = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    labels = torch.arange(9) % 3
    sets = {entry.name: entry for entry in battery_sets(pixels, labels, SPEC, "cells", count=5)}
    assert list(sets) == [kind.name for kind in (*CHANGES, *FOREIGN)]
    chosen = sample(labels, 5)
    assert torch.equal(sets["mirrored"].pixels, pixels[chosen].flip(-1))
    assert sets["mirrored"].title == "mirrored"
    for change in CHANGES:
        assert torch.equal(sets[change.name].labels, labels[chosen])
    for kind in FOREIGN:
        assert sets[kind.name].labels is None
        assert len(sets[kind.name].pixels) == 5


def test_battery_of_digits_has_no_digits() -> None:
    pixels, labels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    assert "digits" not in [entry.name for entry in battery_sets(pixels, labels, SPEC, "digits", count=2)]


def test_seed_changes_foreign_images_only() -> None:
    pixels, labels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8), torch.tensor([0, 1, 2])
    one, other = (list(battery_sets(pixels, labels, SPEC, "cells", count=5, seed=seed)) for seed in (0, 1))
    same = {a.name for a, b in zip(one, other, strict=True) if torch.equal(a.pixels, b.pixels)}
    assert same == {change.name for change in CHANGES}


def test_sample_has_each_class_in_proportion() -> None:
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    chosen = sample(labels, 100)
    assert labels[chosen].bincount().tolist() == [60, 30, 10]
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    shuffled = labels[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    assert shuffled[sample(shuffled, 100)].bincount().tolist() == [60, 30, 10]


def test_sample_of_few_images_is_all_of_them() -> None:
    assert sample(torch.tensor([1, 0, 1]), 5).tolist() == [0, 1, 2]
