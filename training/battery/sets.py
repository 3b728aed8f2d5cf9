"""The sets of a battery, one after the other, so that memory holds one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from models.card import Input
from training.battery.changes import CHANGES
from training.battery.foreign import foreign_to, network_input

# Images of a set. With 200, the 95 % interval of a share of 0.95 reaches from 0.91 to 0.97.
COUNT = 200


@dataclass(frozen=True, slots=True)
class BatterySet:
    """Images of one kind.

    Attributes:
        name: name for files and code, such as `tinted_orange`.
        title: name for people, such as "tinted orange".
        pixels: the network's input, uint8 (N, 3, S, S).
        labels: int64 (N,), indices of classes; None: the images are foreign, and no class is right.
    """

    name: str
    title: str
    pixels: torch.Tensor
    labels: torch.Tensor | None


def sample(labels: torch.Tensor, count: int = COUNT) -> torch.Tensor:
    """Return the indices of at most `count` images, evenly from all classes, in ascending order: int64 (n,).

    Each class has the same share of the sample as of all images, up to rounding.

    Args:
        labels: int64 (N,).
    """
    total = len(labels)
    if total <= count:
        return torch.arange(total)
    by_class = labels.argsort(stable=True)
    positions = (2 * torch.arange(count) + 1) * total // (2 * count)
    return by_class[positions].sort().values


def battery_sets(
    pixels: torch.Tensor, labels: torch.Tensor, spec: Input, dataset_name: str, *, count: int = COUNT, seed: int = 0
) -> Iterator[BatterySet]:
    """Yield the sets of a battery: changed images of the user first, then foreign images.

    Args:
        pixels: the user's images as the network gets them, uint8 (N, 3, S, S). `sample` chooses at most `count`.
        labels: int64 (N,), indices of classes.
        spec: the network's input; foreign images become such inputs.
        dataset_name: name of the user's data. Digits are not foreign to digits.
        count: the largest number of images in a set.
        seed: of the foreign images. The score is chosen on other foreign images than the report shows.
    """
    chosen = sample(labels, count)
    own, own_labels = pixels[chosen], labels[chosen]
    for change in CHANGES:
        yield BatterySet(change.name, change.title, change.apply(own), own_labels)
    for kind in foreign_to(dataset_name):
        yield BatterySet(kind.name, kind.title, network_input(kind.draw(count, spec, seed), spec), None)
