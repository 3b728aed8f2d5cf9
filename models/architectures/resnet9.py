"""ResNet-9, the network that is trained in seconds: for images of 24 to 64 pixels.

David Page, "How to Train Your ResNet" (Myrtle, 2018), set DAWNBench's CIFAR-10 record with it. Here each max pooling is
before the norm, and not after the ReLU. The function is the same wherever the norm's weight is above 0, and norm and
ReLU have a quarter of the work.
"""

from __future__ import annotations

import torch
from torch import nn

from models.architectures import Network
from models.arguments import at_least, at_least_two_classes

POOLINGS = 3


def convolution(inputs: int, outputs: int, pooled: bool = False) -> nn.Sequential:
    """3x3 convolution, norm, ReLU: (N, inputs, H, W) -> (N, outputs, H, W), or half of each side if `pooled`."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    if pooled:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions, whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(channels, channels), convolution(channels, channels))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, channels, H, W) -> the same."""
        result: torch.Tensor = inputs + self.layers(inputs)
        return result


class ResNet9(Network):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes)."""

    def __init__(self, image_size: int, classes: int, width: int, scale: float) -> None:
        super().__init__()
        side = image_size // 2**POOLINGS
        self.features = nn.Sequential(
            convolution(3, width),
            convolution(width, 2 * width, pooled=True),
            Residual(2 * width),
            convolution(2 * width, 4 * width, pooled=True),
            convolution(4 * width, 8 * width, pooled=True),
            Residual(8 * width),
            # Not AdaptiveMaxPool2d: DeepLift has no rule for it, and would be wrong without saying so. With ceil_mode
            # it takes all there is of smaller images too (progressive training).
            nn.MaxPool2d(side, ceil_mode=True),
            nn.Flatten(),
        )
        self.fc = nn.Linear(8 * width, classes, bias=False)
        self.scale = scale

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, 8 * width)."""
        embeddings: torch.Tensor = self.features(images)
        return embeddings

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(N, 8 * width) -> logits (N, classes)."""
        logits: torch.Tensor = self.fc(embeddings) * self.scale
        return logits


def build(image_size: int = 24, classes: int = 10, width: int = 32, scale: float = 0.125) -> ResNet9:
    """Return the network with random weights, for square images of `image_size` pixels.

    Args:
        width: channels of the first convolution, doubled at each pooling; the cost grows with its square.
        scale: of the logits; small ones keep the first steps at a high learning rate from running away.

    Raises:
        ValueError: these arguments do not go together.
    """
    min_size = 2**POOLINGS
    at_least(min_size, "image_size", image_size, f"{POOLINGS} poolings of 2x2 need at least {min_size} pixels")
    at_least_two_classes(classes)
    at_least(1, "width", width, "it must be at least 1")
    if not isinstance(scale, int | float) or not 0 < scale <= 1:
        raise ValueError(f"scale is {scale!r}: it must be a number above 0 and at most 1")
    return ResNet9(image_size, classes, width, scale)
