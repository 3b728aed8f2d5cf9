"""Background: the training images that GradientSHAP compares an image with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from handlers.explain.methods.row_limit import rows_at_once
from handlers.modalities.image import images
from models.card import Input

# Training images that are kept. More would change the maps by less than their noise.
MAX_IMAGES = 40
# Samples on the line from each training image. With fewer samples and more images, the sums miss completeness. With
# more samples, the images are too few to agree with the mean over all training images.
SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Background:
    """B training images, and their logits by the explained network.

    Attributes:
        images: normalized, (B, 3, H, W). The first ones have the classes in proportion too.
        logits: (B, classes).
    """

    images: torch.Tensor
    logits: torch.Tensor

    @classmethod
    def of(cls, files: Sequence[bytes], spec: Input, network: nn.Module, device: torch.device) -> Background:
        """Decode images and run them through the network.

        Args:
            files: what the network sees of training images: WebP, see training/neighbors.py. They may be smaller than
                the network's input, and are enlarged then.

        Costs one forward pass for each image.
        """
        batch = images.batch([_pixels(content, spec.size) for content in files], spec, device)
        with torch.no_grad():
            logits = torch.cat([network(chunk) for chunk in torch.split(batch, rows_at_once(batch))])
        return cls(batch, logits)

    def for_samples(self, samples: int) -> Background:
        """Return the images that get SAMPLES samples each; all if there are fewer."""
        count = max(1, samples // SAMPLES)
        return Background(self.images[:count], self.logits[:count])


def _pixels(content: bytes, size: int) -> torch.Tensor:
    """Decode a thumbnail, uint8 (3, size, size). It shows the part that the network sees, so nothing is cropped."""
    picture = Image.open(io.BytesIO(content)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
