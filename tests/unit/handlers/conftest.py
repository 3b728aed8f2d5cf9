"""What the tests of the handler's entry share."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from handlers.entry import ImageClassifier
from models.release import Release
from tests.unit.handlers.torchserve import Context
from training.data import Dataset


@pytest.fixture(scope="session")
def service() -> Any:
    """The class in TorchServe's worker that takes a request apart. Importing it leaves a file open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        from ts.service import Service
    return Service


@pytest.fixture(scope="session")
def handler(release: Release, service: Any) -> ImageClassifier:
    loaded = ImageClassifier()
    loaded.initialize(Context(str(release.folder)))
    return loaded


@pytest.fixture
def image(digits: Dataset) -> bytearray:
    return bytearray(digits.test.images[0])
