"""A classifier that needs no training: it answers the colour that an image has most of."""

from __future__ import annotations

import numpy as np
import torch

from handlers.engines.eager import Eager
from handlers.pipeline import Classifier
from handlers.uncertainty import Judge
from models.architectures import Network
from models.card import Architecture, Card, Conformal, Data, Input, Metrics, OutOfDistribution, Policy, Trust
from training.data.dataset import Split

NAMES = ("red", "green", "blue")
TRUST = Trust(
    temperature=2.0,
    conformal=Conformal(method="aps", coverage=0.9, threshold=0.8),
    ood=OutOfDistribution(score="energy", threshold=-1.5, false_alarms=0.05),
    policy=Policy(max_set_size=1),
)


class Mean(Network):
    """Embeddings are the mean of each channel, from 0 to 1, and logits ten times these."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))

    def head(self, embeddings: torch.Tensor) -> torch.Tensor:
        return 10 * embeddings


def card(classes: tuple[str, ...] = NAMES, trust: Trust | None = None) -> Card:
    return Card(
        name="colours",
        version="1.0",
        created="2026-01-02T03:04:05+00:00",
        git_revision="unknown",
        architecture=Architecture(name="cnn", arguments={"image_size": 8, "classes": len(classes)}),
        classes=classes,
        input=Input(size=8, mean=(0, 0, 0), std=(1, 1, 1)),
        trust=trust,
        data=Data(name="colours", source="a paint box", sha256="0" * 64, train=60, calibration=20, test=20),
        metrics=Metrics(accuracy=0.9, loss=0.3, test_images=20, train_cpu_seconds=1.5),
        digests={"weights.safetensors": "1" * 64},
    )


def classifier(trust: Trust | None = None, classes: tuple[str, ...] = NAMES) -> Classifier:
    judge = Judge(trust) if trust else None
    return Classifier(card(classes, trust), Eager(Mean(), card(classes, trust).input, torch.device("cpu")), judge=judge)


def plain(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((8, 8, 3), (red, green, blue), dtype=np.uint8)


def split(*pairs: tuple[tuple[int, int, int], int]) -> Split:
    """Of (colour, label) pairs."""
    return Split([plain(*colour) for colour, _ in pairs], [label for _, label in pairs])
