"""Fixtures of the unit tests: a card without a trained model."""

from __future__ import annotations

import pytest

from models.card import Architecture, Card, Data, Input, Metrics


@pytest.fixture
def card() -> Card:
    return Card(
        name="pets",
        version="1.0",
        description="cnn trained on pets",
        license="CC BY 4.0",
        created="2026-01-02T03:04:05+00:00",
        git_revision="unknown",
        architecture=Architecture(name="cnn", arguments={"image_size": 8, "classes": 3}),
        classes=("cat", "dog", "7"),
        input=Input(size=8, mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.125)),
        data=Data(name="pets", source="a drawer", sha256="0" * 64, train=60, calibration=20, test=20),
        metrics=Metrics(accuracy=0.9, loss=0.3, test_images=20, train_cpu_seconds=1.5),
        digests={"weights.safetensors": "1" * 64},
    )
