"""Fixtures of the handler tests: the handler, and classifiers with and without `uncertainty` in their card."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.torchserve_handler import ImageClassifier
from models.release import UNCERTAINTY, Release, sha256
from tests.unit.handlers.torchserve.stand_in import Context
from training.data import Dataset
from training.uncertainty import Scored, UncertaintySettings, fit
from training.uncertainty.referral import PolicySettings


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


@pytest.fixture(scope="session")
def plain(classifier: Classifier) -> Classifier:
    """One that answers as those do whose card has no `uncertainty`."""
    return Classifier(classifier.card.model_copy(update={"uncertainty": None}), classifier.engine)


@pytest.fixture(scope="session")
def release_with_uncertainty(
    release: Release, plain: Classifier, digits: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """The digits with uncertainty: sets of more than one class for some, and Mahalanobis scores. Not to be changed."""
    folder = tmp_path_factory.mktemp("trusted") / "digits" / "1.0"
    shutil.copytree(release.folder, folder)
    train, calibration = (
        Scored(plain.outputs(split.images), torch.tensor(split.labels)) for split in (digits.train, digits.calibration)
    )
    fitted = fit(
        train,
        calibration,
        UncertaintySettings(
            coverage=0.99, policy=PolicySettings(max_set_size=2, min_probability=0.0), ood="mahalanobis"
        ),
    )
    save_file(fitted.tensors, folder / UNCERTAINTY)
    digests = release.card.digests | {UNCERTAINTY: sha256(folder / UNCERTAINTY)}
    card = release.card.model_copy(update={"uncertainty": fitted.uncertainty, "digests": digests})
    card.save(folder)
    images = {path.name: path.read_bytes() for path in sorted((folder / golden_answers.FOLDER).glob("*.png"))}
    shutil.rmtree(folder / golden_answers.FOLDER)
    golden_answers.write(folder, Classifier.load(folder), images)
    return Release(folder, card)


@pytest.fixture(scope="session")
def has_uncertainty(release_with_uncertainty: Release) -> Classifier:
    return Classifier.load(release_with_uncertainty.folder)
