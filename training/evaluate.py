"""How good a classifier is on a split, measured through the code that serves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional
from tqdm import tqdm

from handlers.classifier import Classifier
from training.data import Dataset
from training.data.dataset import Split

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures over one split.

    Attributes:
        accuracy: share of images whose most probable class is the labelled one.
        loss: mean cross-entropy in nats.
        confusion: counts (classes, classes), row = labelled, column = answered.
    """

    accuracy: float
    loss: float
    confusion: torch.Tensor


def evaluate(classifier: Classifier, dataset: Dataset, split: Split) -> Evaluation:
    """Answer every image of `split` as the server would, and compare with its labels."""
    labels = torch.tensor(split.labels)
    starts = tqdm(range(0, len(split), CHUNK), desc="evaluate", unit="chunk", disable=None, leave=False)
    logits = torch.cat([classifier.logits(split.images[start : start + CHUNK]).cpu() for start in starts])
    answered = logits.argmax(dim=1)
    classes = len(dataset.classes)
    confusion = torch.bincount(labels * classes + answered, minlength=classes**2).view(classes, classes)
    return Evaluation(
        accuracy=float((answered == labels).float().mean()),
        loss=functional.cross_entropy(logits, labels).item(),
        confusion=confusion,
    )
