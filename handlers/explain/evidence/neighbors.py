"""The training images that an image is most like, as the network sees it: its nearest by their embeddings.

Distances are cosine distances, 1 - cos of the angle between two embeddings: 0 for the same direction, 1 for nothing in
common. An embedding's length says more of how bright or clear an image is than of what is on it.
"""

from __future__ import annotations

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

# Digits after the point of a distance: the embeddings' last bits change with the batch, and these do not show it.
DIGITS = 4
EMBEDDINGS, LABELS, THUMBNAILS, ENDS = "embeddings", "labels", "thumbnails", "ends"


class NeighborsError(ValueError):
    """The training images of a model are missing, damaged, or not for this model."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A training image.

    Attributes:
        label, index: of its class.
        distance: 0 to 2; see above.
        thumbnail: the image, small, as WebP.
    """

    label: str
    index: int
    distance: float
    thumbnail: bytes

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it, without the thumbnail."""
        return {"label": self.label, "index": self.index, "distance": self.distance}


class Neighbors:
    """The training images that came with a model, M of them.

    Args:
        tensors: of neighbors.safetensors: EMBEDDINGS float16 (M, D); LABELS, the index of each class, int32 (M,);
            THUMBNAILS, their bytes one after the other, uint8; ENDS, where each ends, int64 (M,).
        classes: their labels.

    Raises:
        NeighborsError: the tensors do not fit each other, or the classes.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], classes: Sequence[str]) -> None:
        try:
            embeddings, labels, thumbnails, ends = (tensors[name] for name in (EMBEDDINGS, LABELS, THUMBNAILS, ENDS))
        except KeyError as error:
            raise NeighborsError(f"there is no tensor {error}") from None
        starts = torch.cat([ends.new_zeros(1), ends])
        if embeddings.ndim != 2 or not len(embeddings) == len(labels) == len(ends) > 0:
            counts = ", ".join(f"{tuple(tensor.shape)}" for tensor in (embeddings, labels, ends))
            raise NeighborsError(f"embeddings, labels and ends are of shapes {counts}")
        if bool((starts.diff() < 0).any()) or int(ends[-1]) != len(thumbnails):
            raise NeighborsError(f"the thumbnails' ends do not fit their {len(thumbnails)} bytes")
        if not 0 <= int(labels.min()) <= int(labels.max()) < len(classes):
            found = f"{int(labels.min())} to {int(labels.max())}"
            raise NeighborsError(f"the labels go from {found}, and the model has {len(classes)} classes")
        self._directions = functional.normalize(embeddings.double(), dim=1)
        self._labels: list[int] = labels.tolist()
        self._thumbnails = thumbnails.numpy().tobytes()
        self._starts: list[int] = starts.tolist()
        self._classes = classes

    @classmethod
    def load(cls, folder: Path, card: Card) -> Neighbors | None:
        """Those of a release folder or an unpacked .mar; None where the card vouches for none.

        Raises:
            NeighborsError: the file is missing, damaged, or not for this model.
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

    def nearest(self, embeddings: torch.Tensor, count: int) -> list[list[Neighbor]]:
        """The `count` nearest of each embedding, nearest first; fewer where there are not so many.

        Args:
            embeddings: (N, D), as the network of the same release makes them, on any device.

        Raises:
            NeighborsError: they have another length than those of the file.
        """
        if embeddings.shape[1] != self._directions.shape[1]:
            raise NeighborsError(
                f"embeddings of {embeddings.shape[1]} numbers cannot be compared with the training images' "
                f"{self._directions.shape[1]}: {NEIGHBORS} is of another network"
            )
        cosines = functional.normalize(embeddings.cpu().double(), dim=1) @ self._directions.T
        # Rounded before they are sorted, so that noise does not change the order of two that are alike.
        distances, rows = (1 - cosines).clamp(min=0).round(decimals=DIGITS).sort(dim=1, stable=True)
        return [
            [self._neighbor(row, distance) for row, distance in zip(*pair, strict=True)]
            for pair in zip(rows[:, :count].tolist(), distances[:, :count].tolist(), strict=True)
        ]

    def _neighbor(self, row: int, distance: float) -> Neighbor:
        index = self._labels[row]
        thumbnail = self._thumbnails[self._starts[row] : self._starts[row + 1]]
        return Neighbor(self._classes[index], index, distance, thumbnail)
