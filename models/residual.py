"""Deep residual networks for large images, whose tensors have torchvision's names and shapes.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385. Because of the names, a state dict of
torchvision's resnet18 or resnet50 can be loaded without changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from models.architectures import Network
from models.arguments import at_least, at_least_two_classes

STAGE_CHANNELS = (64, 128, 256, 512)
STRIDE = 32  # of the whole network: smaller images have no pixel left for the last stage


class Basic(nn.Module):
    """Two 3x3 convolutions, and a way round them."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(inputs, channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, channels, H / stride, W / stride)."""
        values = self.relu1(self.bn1(self.conv1(inputs)))
        values = self.bn2(self.conv2(values))
        result: torch.Tensor = self.relu2(values + self.downsample(inputs))
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, and a way round them.

    The stride is on the 3x3 convolution, not on the first 1x1 as in the paper: "v1.5", which torchvision has too.
    """

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)
        self.relu3 = nn.ReLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, 4 * channels, H / stride, W / stride)."""
        values = self.relu1(self.bn1(self.conv1(inputs)))
        values = self.relu2(self.bn2(self.conv2(values)))
        values = self.bn3(self.conv3(values))
        result: torch.Tensor = self.relu3(values + self.downsample(inputs))
        return result


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the skip connection of a block: identity for equal shapes, else a strided 1x1 convolution and a norm."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


Block = type[Basic] | type[Bottleneck]


class ResNet(Network):
    """float32 images (N, 3, image_size, image_size) -> logits (N, classes).

    The last stage is averaged over its pixels, so image_size only has to be large enough.
    """

    def __init__(self, block: Block, depths: Sequence[int], image_size: int, classes: int) -> None:
        super().__init__()
        at_least(STRIDE, "image_size", image_size, f"five halvings need at least {STRIDE} pixels; `resnet9` takes less")
        at_least_two_classes(classes)
        self.conv1 = nn.Conv2d(3, STAGE_CHANNELS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, STAGE_CHANNELS[0], STAGE_CHANNELS[0], depths[0], stride=1)
        self.layer2 = stage(block, STAGE_CHANNELS[0] * block.expansion, STAGE_CHANNELS[1], depths[1], stride=2)
        self.layer3 = stage(block, STAGE_CHANNELS[1] * block.expansion, STAGE_CHANNELS[2], depths[2], stride=2)
        self.layer4 = stage(block, STAGE_CHANNELS[2] * block.expansion, STAGE_CHANNELS[3], depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(STAGE_CHANNELS[3] * block.expansion, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He et al., "Delving Deep into Rectifiers", arXiv:1502.01852.
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (N, 3, image_size, image_size) -> (N, 512 * expansion)."""
        values = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        values = self.layer4(self.layer3(self.layer2(self.layer1(values))))
        embeddings: torch.Tensor = self.avgpool(values).flatten(1)
        return embeddings

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(N, 512 * expansion) -> logits (N, classes)."""
        logits: torch.Tensor = self.fc(embeddings)
        return logits


def stage(block: Block, inputs: int, channels: int, depth: int, stride: int) -> nn.Sequential:
    """Return `depth` blocks in sequence. The first one has the stride."""
    first = block(inputs, channels, stride)
    return nn.Sequential(first, *(block(channels * block.expansion, channels, 1) for _ in range(depth - 1)))
