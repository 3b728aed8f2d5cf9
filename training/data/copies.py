"""Near copies among the splits: which images stay together when splits are drawn, and the sentences about them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from models.printable import printable
from training.data import near_copies
from training.data.checks import Item
from training.data.left_out import listed

# Pairs that a sentence names.
_MAX_PAIRS = 3
_WHY = "saved again, resized, or with another brightness"


class Copies:
    """The near copies among the images of a data set."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        pairs = near_copies.find([item.appearance.thumbnail for item in items])
        self._rows, self._complete = pairs.rows, pairs.complete
        ones, size = np.ones(len(pairs.rows), bool), len(items)
        _, groups = connected_components(coo_array((ones, pairs.rows.T), shape=(size, size)), directed=False)
        self._groups = {item.name: int(group) for item, group in zip(items, groups, strict=True)}

    def group(self, item: Item) -> Hashable:
        """Return the number of the group of near copies that an image belongs to; most images are alone in theirs."""
        return self._groups[item.name]

    def findings(self, splits: Mapping[str, Sequence[Item]]) -> list[str]:
        """Return sentences about near copies in several splits, of several classes, and within a split."""
        if not len(self._rows):
            return []
        split_of = {item.name: name for name, items in splits.items() for item in items}
        pairs = [(self._items[lower], self._items[higher]) for lower, higher in self._rows]
        across_labels = [pair for pair in pairs if pair[0].label != pair[1].label]
        same = [(a, b) for a, b in pairs if a.label == b.label and split_of[a.name] == split_of[b.name]]
        sentences = [
            *self._across(pairs, split_of, len(splits["test"]), "test", ("train", "calibration")),
            *self._across(pairs, split_of, len(splits["calibration"]), "calibration", ("train",)),
        ]
        if across_labels:
            examples = _examples(across_labels, lambda item: f"{printable(item.name)} ({item.label})")
            sentences.append(
                f"{self._count(len(across_labels))} {'pair' if len(across_labels) == 1 else 'pairs'} of images with "
                f"different classes look like copies of each other, such as {examples}: check their labels"
            )
        if same:
            count = len({item.name for pair in same for item in pair})
            sentences.append(
                f"{self._count(count)} of {len(self._items):,} images {_look_like_copies(count)} of others in the same "
                f"split ({_WHY}), such as {_examples(same)}: they are fewer different images than files"
            )
        return sentences

    def _across(
        self,
        pairs: Sequence[tuple[Item, Item]],
        split_of: Mapping[str, str],
        size: int,
        split: str,
        other_splits: Sequence[str],
    ) -> list[str]:
        """Return the sentence about images of `split` that are near copies of images of `other_splits`, if any."""
        both = [pair if split_of[pair[0].name] == split else pair[::-1] for pair in pairs]
        crossing = [
            (own, copy) for own, copy in both if split_of[own.name] == split and split_of[copy.name] in other_splits
        ]
        count = len({own.name for own, _ in crossing})
        if not count:
            return []
        harm = {
            "test": "the figures of the test split are too good",
            "calibration": "the fitted uncertainty is too confident",
        }
        names = " or ".join({"train": "training", "calibration": "calibration"}[name] for name in other_splits)
        return [
            f"{self._count(count)} of {size:,} {split} images {_look_like_copies(count)} of {names} images ({_WHY}), "
            f"such as {_examples(crossing)}: {harm[split]}. They are not removed: keep one of each, or put all "
            "copies of an image into one split"
        ]

    def _count(self, count: int) -> str:
        return f"{count:,}" if self._complete else f"at least {count:,}"


def _examples(
    pairs: Sequence[tuple[Item, Item]], name: Callable[[Item], str] = lambda item: printable(item.name)
) -> str:
    return listed([f"{name(first)} and {name(second)}" for first, second in pairs], _MAX_PAIRS)


def _look_like_copies(count: int) -> str:
    return "looks like a copy" if count == 1 else "look like copies"
