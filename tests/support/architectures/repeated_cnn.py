"""The small network with the same logits and more work: its convolutions run `passes` times."""

from __future__ import annotations

import torch

from models.architectures.cnn import CNN


class RepeatedCNN(CNN):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes)."""

    def __init__(self, image_size: int, classes: int, passes: int) -> None:
        super().__init__(image_size, classes)
        self.passes = passes

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, 128)."""
        for _ in range(self.passes - 1):
            super().embed(images)
        return super().embed(images)


def build(image_size: int = 24, classes: int = 10, passes: int = 1) -> RepeatedCNN:
    """Return the network with random weights."""
    return RepeatedCNN(image_size, classes, passes)
