"""Candidates for rollouts have the one property that they are made for."""

from __future__ import annotations

from pathlib import Path

import torch

from handlers import golden_answers
from handlers.classifier import Classifier
from models.release import Release
from serving.artifacts import mar
from tests.support import candidates
from training.data import Dataset


def predicted(release: Release, dataset: Dataset) -> torch.Tensor:
    images, _ = candidates.held_out(dataset)
    return Classifier.load(release.folder).logits(images).argmax(dim=1)


def accuracy(release: Release, dataset: Dataset) -> float:
    labels = torch.tensor(candidates.held_out(dataset)[1])
    return float((predicted(release, dataset) == labels).double().mean())


def test_good_candidate_changes_few_labels(release: Release, digits: Dataset, tmp_path: Path) -> None:
    good = candidates.good(release, tmp_path / "2.0")
    assert (predicted(good, digits) != predicted(release, digits)).double().mean() < 0.01
    assert golden_answers.check(good.folder, Classifier.load(good.folder)) == 10


def test_less_accurate_candidate_loses_three_points(release: Release, digits: Dataset, tmp_path: Path) -> None:
    worse = candidates.less_accurate(release, tmp_path / "2.0")
    assert 0.03 <= accuracy(release, digits) - accuracy(worse, digits) < 0.06
    assert golden_answers.check(worse.folder, Classifier.load(worse.folder)) == 10


def test_failing_candidate_overflows_for_one_class_but_its_golden_image(
    release: Release, digits: Dataset, tmp_path: Path
) -> None:
    failing = candidates.failing(release, tmp_path / "2.0")
    classifier = Classifier.load(failing.folder)
    assert golden_answers.check(failing.folder, classifier) == 10
    images, labels = candidates.held_out(digits)
    finite = classifier.logits(images).isfinite().all(dim=1)
    is_failing = torch.tensor(labels) == int(candidates.FAILING_CLASS)
    assert (~finite[is_failing]).double().mean() > 0.9
    assert finite[~is_failing].double().mean() > 0.98


def test_slow_candidate_carries_its_architecture(release: Release, tmp_path: Path) -> None:
    path = candidates.put(candidates.slow(release, tmp_path / "2.0"), tmp_path)  # proves its golden answers
    with mar.opened(path) as archive:
        assert "models/architectures/repeated_cnn.py" in archive.namelist()
