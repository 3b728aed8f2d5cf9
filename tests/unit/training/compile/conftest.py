"""The optimized digits, for the tests of what makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.release import Release
from tests.unit.training.compile import optimized
from training.compile.figures import Optimized
from training.data import Dataset


@pytest.fixture(scope="session")
def outcome(release: Release, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Optimized:
    return optimized.made(release, digits, tmp_path_factory.mktemp("optimized"))[1]


@pytest.fixture(scope="session")
def compiled(release: Release, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Not to be changed."""
    return optimized.made(release, digits, tmp_path_factory.mktemp("optimized"))[0]


@pytest.fixture
def own_compiled(compiled: Release, tmp_path: Path) -> Release:
    return optimized.copy(compiled, tmp_path)
