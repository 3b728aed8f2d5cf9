"""The small convolutional network of the article that this project started from.

Two 3x3 convolutions, each followed by 2x2 max pooling, then two linear layers. Made for small inputs: at 24 pixels
it has 316,000 parameters and needs 3.4 million multiplications an image.
"""

from __future__ import annotations

import torch
from torch import nn

from models.architectures import Network
from models.arguments import at_least, at_least_two_classes


class CNN(Network):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes)."""

    def __init__(self, image_size: int, classes: int) -> None:
        super().__init__()
        at_least(4, "image_size", image_size, "two 2x2 poolings need at least 4 pixels")
        at_least_two_classes(classes)
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        side = image_size // 2 // 2
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * side * side, 128),
            nn.ReLU(),
            nn.Linear(128, classes),
        )

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, 128)."""
        values: torch.Tensor = self.features(images)
        for layer in list(self.classifier)[:-1]:
            values = layer(values)
        return values

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(N, 128) -> logits (N, classes)."""
        logits: torch.Tensor = self.classifier[-1](embeddings)
        return logits


def build(image_size: int = 24, classes: int = 10) -> CNN:
    """Return the network with random weights, for square images of `image_size` pixels."""
    return CNN(image_size, classes)
