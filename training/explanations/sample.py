"""Sample of images that methods are measured on: a random part of a split, as the network sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from handlers.classifier import Classifier
from handlers.modalities.image import images
from training.data.dataset import DataError, Split
from training.evaluate import Evaluation, evaluate

SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """N images, each with its predicted class, which is explained.

    Attributes:
        pictures: the original images, labeled by indices into the card's classes.
        test: predictions.
        images: normalized, float32 (N, 3, H, W).
        weights: float32 (N, classes), see handlers.explain.methods.method.TargetScore.
        masks: masks of the objects, bool (N, H, W); None if they are unknown.
    """

    pictures: Split
    test: Evaluation
    images: torch.Tensor
    weights: torch.Tensor
    masks: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.pictures)


def draw(classifier: Classifier, split: Split, count: int, seed: int = SEED) -> Sample:
    """Draw `count` images of a split, or all if it has fewer; the same seed gives the same images.

    Raises:
        DataError: an image is not accepted, its mask is empty as the network sees it, or the split is empty.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(split))[:count]).tolist()
    pictures = Split(
        [split.images[row] for row in rows],
        [split.labels[row] for row in rows],
        [split.name(row) for row in rows],
        [split.masks[row] for row in rows] if len(split.masks) else (),
    )
    test = evaluate(classifier, pictures)
    spec, device = classifier.card.input, classifier.engine.device
    pixels = [images.pixels(images.picture(picture, spec), spec) for picture in pictures.images]
    batch = images.batch(pixels, spec, device)
    weights = torch.zeros(len(pictures), len(classifier.card.classes), device=device)
    weights[torch.arange(len(pictures)), test.answered.to(device)] = 1
    masks = None
    if len(pictures.masks):
        # Process masks as images, so that mask and image stay aligned.
        mask_pixels = [
            images.pixels(images.from_array(mask.astype(np.uint8) * 255), spec)[0] for mask in pictures.masks
        ]
        masks = (torch.stack(mask_pixels) > 127).to(device)
        empty = (~masks.flatten(1).any(dim=1)).nonzero().flatten().tolist()
        if empty:
            raise DataError(
                f"the mask of {pictures.name(empty[0])} is empty after resizing and cropping: leave the image out"
            )
    return Sample(pictures, test, batch, weights, masks)
