"""Nearest training images of an image, by the cosine distance of their embeddings.

The cosine distance is 1 - cos of the angle between two embeddings: 0 for the same direction, 1 for orthogonal ones. The
length of an embedding depends more on brightness and clarity than on the content of the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn import functional

from models.card import Card
from models.release import NEIGHBORS
from models.tensors import load_tensors

# Digits after the point of a distance. More digits would show that the last bits of embeddings change with the batch.
DIGITS = 4
EMBEDDINGS, LABELS, THUMBNAILS, ENDS = "embeddings", "labels", "thumbnails", "ends"


class NeighborsError(ValueError):
    """The training images of a model are missing, damaged, or belong to another model."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A training image.

    Attributes:
        label, index: its class.
        distance: cosine distance, 0 to 2.
        thumbnail: a small copy of the image, WebP.
    """

    label: str
    index: int
    distance: float
    thumbnail: bytes

    def members(self) -> dict[str, Any]:
        """Return the members in JSON, without the thumbnail."""
        return {"label": self.label, "index": self.index, "distance": self.distance}


class Neighbors:
    """M training images that are part of a release.

    Args:
        tensors: tensors of neighbors.safetensors: EMBEDDINGS float16 (M, D); LABELS, class indices, int32 (M,);
            THUMBNAILS, the concatenated files, uint8; ENDS, the end offset of each file, int64 (M,).
        classes: labels of the classes.

    Raises:
        NeighborsError: the tensors do not fit each other or the classes.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], classes: Sequence[str]) -> None:
        try:
            embeddings, labels, thumbnails, ends = (tensors[name] for name in (EMBEDDINGS, LABELS, THUMBNAILS, ENDS))
        except KeyError as error:
            raise NeighborsError(f"tensor {error} is missing") from None
        starts = torch.cat([ends.new_zeros(1), ends])
        if embeddings.ndim != 2 or not len(embeddings) == len(labels) == len(ends) > 0:
            counts = ", ".join(f"{tuple(tensor.shape)}" for tensor in (embeddings, labels, ends))
            raise NeighborsError(f"embeddings, labels and ends are of shapes {counts}")
        if bool((starts.diff() < 0).any()) or int(ends[-1]) != len(thumbnails):
            raise NeighborsError(f"the thumbnails' ends do not fit their {len(thumbnails)} bytes")
        if not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            label_range = f"{int(labels.min())} to {int(labels.max())}"
            raise NeighborsError(f"the labels go from {label_range}, and the model has {len(classes)} classes")
        self._directions = functional.normalize(embeddings.double(), dim=1)
        self._labels: list[int] = labels.tolist()
        self._thumbnails = thumbnails.numpy().tobytes()
        self._starts: list[int] = starts.tolist()
        self._classes = classes

    @classmethod
    def load(cls, folder: Path, card: Card) -> Neighbors | None:
        """Load the training images of a release folder or an unpacked .mar; None if the card lists none.

        Raises:
            NeighborsError: the file is missing, damaged, or belongs to another model.
        """
        if NEIGHBORS not in card.digests:
            return None
        path = folder / NEIGHBORS
        try:
            return cls(load_tensors(path), card.classes)
        except (SafetensorError, OSError, NeighborsError) as error:
            raise NeighborsError(f"{path}: cannot be used: {error}; restore the release, or train it again") from None

    def __len__(self) -> int:
        return len(self._labels)

    def thumbnails(self, count: int) -> list[bytes]:
        """Return the thumbnails of `count` images, or of all if there are fewer.

        Any first few of them have the classes in proportion to those of all images.
        """
        sizes, ranks = Counter(self._labels), Counter[int]()
        turns: list[float] = []
        for label in self._labels:
            turns.append((ranks[label] + 0.5) / sizes[label])
            ranks[label] += 1
        order = sorted(range(len(turns)), key=turns.__getitem__)
        return [self._thumbnail(row) for row in order[:count]]

    def nearest(self, embeddings: torch.Tensor, count: int) -> list[list[Neighbor]]:
        """Return the `count` nearest images of each embedding, nearest first; fewer if the file has fewer.

        Args:
            embeddings: (N, D), by the network of the same release, on any device.

        Raises:
            NeighborsError: the embeddings have another length than those of the file.
        """
        if embeddings.shape[1] != self._directions.shape[1]:
            raise NeighborsError(
                f"embeddings of {embeddings.shape[1]} numbers cannot be compared with the training images' "
                f"{self._directions.shape[1]}: {NEIGHBORS} is of another network"
            )
        cosines = functional.normalize(embeddings.cpu().double(), dim=1) @ self._directions.T
        # Round before sorting, so that noise does not change the order of equal distances.
        distances, rows = (1 - cosines).clamp(min=0).round(decimals=DIGITS).sort(dim=1, stable=True)
        return [
            [self._neighbor(row, distance) for row, distance in zip(*pair, strict=True)]
            for pair in zip(rows[:, :count].tolist(), distances[:, :count].tolist(), strict=True)
        ]

    def _neighbor(self, row: int, distance: float) -> Neighbor:
        index = self._labels[row]
        return Neighbor(self._classes[index], index, distance, self._thumbnail(row))

    def _thumbnail(self, row: int) -> bytes:
        return self._thumbnails[self._starts[row] : self._starts[row + 1]]
