"""The small network with the same logits and more work: its convolutions run `passes` times."""

from __future__ import annotations

import torch
from torch.nn import functional

from models.architectures.cnn import CNN


class RepeatedCNN(CNN):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes)."""

    def __init__(self, image_size: int, classes: int, passes: int) -> None:
        super().__init__(image_size, classes)
        self.passes = passes

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, 128)."""
        with torch.no_grad():
            for _ in range(self.passes - 1):
                self._convolve(images)
        return super().embed(images)

    def _convolve(self, images: torch.Tensor) -> None:
        """Convolve images for nothing, by functions: methods of explanation look at every call of a module."""
        first, second = (self.get_parameter(f"features.{layer}.weight") for layer in (0, 3))
        values = functional.max_pool2d(functional.relu(functional.conv2d(images, first, padding=1)), 2)
        functional.conv2d(values, second, padding=1)


def build(image_size: int = 24, classes: int = 10, passes: int = 1) -> RepeatedCNN:
    """Return the network with random weights."""
    return RepeatedCNN(image_size, classes, passes)
