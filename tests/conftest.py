"""Fixtures that all tests share: the digits, and one small release that is trained once a session."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from handlers.classifier import Classifier
from models.release import Release
from training import recipe
from training.data import DATASETS, Dataset
from training.loop.job import TrainingJob
from training.train import train

torch.set_num_threads(1)

KINDS = ("unit", "integration", "e2e")
FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind, the folder of tests/ that it is in."""
    for item in items:
        kind = item.path.relative_to(FOLDER).parts[0]
        assert kind in KINDS, f"{item.path}: a test belongs in one of tests/{', tests/'.join(KINDS)}"
        item.add_marker(kind)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return DATASETS["digits"]()


@pytest.fixture(scope="session")
def release(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Trained for 4 epochs: some 97 % right. Not to be changed; `own_release` is a copy that may be."""
    root = tmp_path_factory.mktemp("releases")
    release = train(
        TrainingJob(
            dataset=digits, model="digits", version="1.0", recipe=recipe.load("default", {"epochs": 4}), root=root
        )
    )
    assert release is not None
    return release


@pytest.fixture
def own_release(release: Release, tmp_path: Path) -> Release:
    folder = tmp_path / "releases" / "digits" / "1.0"
    shutil.copytree(release.folder, folder)
    return Release(folder, release.card)


@pytest.fixture(scope="session")
def classifier(release: Release) -> Classifier:
    return Classifier.load(release.folder)
