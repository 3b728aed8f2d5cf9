"""A classifier that needs no training: it answers the color that an image has most of."""

from __future__ import annotations

import numpy as np
import torch

from handlers.classifier import Classifier
from handlers.engines.eager import Eager
from handlers.uncertainty import UncertaintyEstimator
from models.architectures import Network
from models.card import (
    Architecture,
    Card,
    Conformal,
    Data,
    Input,
    Metrics,
    OutOfDistribution,
    Policy,
    Scale,
    UncertaintyCard,
)
from training.data.dataset import Split

NAMES = ("red", "green", "blue")
UNCERTAINTY = UncertaintyCard(
    temperature=2.0,
    conformal=Conformal(method="aps", coverage=0.9, thresholds=(0.8,)),
    # This scale changes nothing: the score is the energy.
    ood=OutOfDistribution(
        score="energy",
        scale=Scale(median=0, upper=1, logarithmic=False),
        threshold=-1.5,
        false_positive_rate=0.05,
    ),
    policy=Policy(max_set_size=1),
)


class Mean(Network):
    """Embeddings are the mean of each channel, from 0 to 1, and logits ten times these."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        return 10 * embeddings


def card(classes: tuple[str, ...] = NAMES, uncertainty: UncertaintyCard | None = None) -> Card:
    return Card(
        name="colors",
        version="1.0",
        created="2026-01-02T03:04:05+00:00",
        git_revision="unknown",
        architecture=Architecture(name="cnn", arguments={"image_size": 8, "classes": len(classes)}),
        classes=classes,
        input=Input(size=8, mean=(0, 0, 0), std=(1, 1, 1)),
        uncertainty=uncertainty,
        data=Data(name="colors", source="a paint box", sha256="0" * 64, train=60, calibration=20, test=20),
        metrics=Metrics(accuracy=0.9, loss=0.3, test_images=20, train_cpu_seconds=1.5),
        digests={"weights.safetensors": "1" * 64},
    )


def classifier(uncertainty: UncertaintyCard | None = None, classes: tuple[str, ...] = NAMES) -> Classifier:
    estimator = UncertaintyEstimator(uncertainty) if uncertainty else None
    return Classifier(
        card(classes, uncertainty),
        Eager(Mean(), card(classes, uncertainty).input, torch.device("cpu")),
        estimator=estimator,
    )


def plain(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((8, 8, 3), (red, green, blue), dtype=np.uint8)


def split(*pairs: tuple[tuple[int, int, int], int]) -> Split:
    """Return a split of plain images, given (color, label) pairs."""
    return Split([plain(*color) for color, _ in pairs], [label for _, label in pairs])
