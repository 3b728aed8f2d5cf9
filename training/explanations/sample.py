"""The images that methods are measured on: a part of a split, drawn by a seed, as the network sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from handlers.classifier import Classifier
from handlers.explain.methods import baselines
from handlers.modalities.image import images
from training.data.dataset import DataError, Split
from training.evaluate import Evaluation, evaluate

SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """N images, each with the class that the model answers, which is what is explained.

    Attributes:
        pictures: the images as they came, labeled by indices into the card's classes.
        test: what was answered.
        images: normalized, float32 (N, 3, H, W).
        weights: float32 (N, classes), see handlers.explain.methods.method.TargetScore.
        blurred: the images blurred, (N, 3, H, W).
        masks: bool (N, H, W), where the objects are; None where nobody knows.
    """

    pictures: Split
    test: Evaluation
    images: torch.Tensor
    weights: torch.Tensor
    blurred: torch.Tensor
    masks: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.pictures)


def draw(classifier: Classifier, split: Split, count: int, seed: int = SEED) -> Sample:
    """`count` images of `split`, or all where it has fewer; the same ones for the same seed.

    Raises:
        DataError: an image cannot be served, or has no object as the network sees it; or there is no image.
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
    seen = [images.pixels(images.picture(picture, spec), spec) for picture in pictures.images]
    batch = images.batch(seen, spec, device)
    weights = torch.zeros(len(pictures), len(classifier.card.classes), device=device)
    weights[torch.arange(len(pictures)), test.answered.to(device)] = 1
    masks = None
    if len(pictures.masks):
        # On the road of the images, so that object and image stay on top of each other.
        drawn = [images.pixels(images.from_array(mask.astype(np.uint8) * 255), spec)[0] for mask in pictures.masks]
        masks = (torch.stack(drawn) > 127).to(device)
        empty = (~masks.flatten(1).any(dim=1)).nonzero().flatten().tolist()
        if empty:
            raise DataError(f"the mask of {pictures.name(empty[0])} is empty, as the network sees it: leave it out")
    return Sample(pictures, test, batch, weights, baselines.make("blur", batch, spec), masks)
