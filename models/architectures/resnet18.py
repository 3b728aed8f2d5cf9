"""ResNet-18 (He et al., arXiv:1512.03385), torchvision's to the name of each tensor.

Made for photographs of 224 pixels. With 1,000 classes it has 11,689,512 parameters.
"""

from __future__ import annotations

from models.residual import Basic, ResNet


def build(image_size: int = 224, classes: int = 10) -> ResNet:
    """Return the network with random weights, for square images of `image_size` pixels, at least 32."""
    return ResNet(Basic, (2, 2, 2, 2), image_size, classes)
