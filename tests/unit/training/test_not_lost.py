"""A finished training is never lost to its report, and a resume goes on with the data that it began with."""

from __future__ import annotations

import dataclasses
import errno
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from handlers.classifier import Classifier
from models.release import verify_digests
from tests.unit.training.halves import dataset, split
from tests.unit.training.test_train import made, stop
from training import neighbors, report
from training.data.dataset import DataError, Dataset, Split
from training.loop.checkpoint import CheckpointError
from training.train import unfinished


@pytest.fixture(autouse=True)
def without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write", lambda folder, report: [])


@pytest.fixture
def halves() -> Dataset:
    return dataset()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "report.html"), "No space left on device"),
        (RuntimeError("a font broke on caf\udce9"), r"RuntimeError: a font broke on caf\\xe9"),
        (DataError("cat/1.png: cut short"), r"cat/1\.png: cut short"),
    ],
    ids=["full disk", "font", "image"],
)
def test_release_is_whole_where_its_report_cannot_be_written(
    halves: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(report, "write", broken)
    said: list[str] = []
    release = made(halves, tmp_path, log=said.append)
    assert [path.name for path in (tmp_path / "halves").iterdir()] == ["1.0"]
    assert not (release.folder / "report").exists()
    verify_digests(release.folder, release.card)
    assert re.search(
        rf"^warning: the report could not be written \(.*{words}.*\); the release is complete without it, and "
        r"`torchlight evaluate --model halves --version 1\.0` writes a report$",
        said[-1],
    ), said


def test_release_is_whole_where_training_images_went_away(
    halves: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "cat/1.png")

    monkeypatch.setattr(neighbors, "tensors", gone)
    said: list[str] = []
    release = made(halves, tmp_path, log=said.append)
    assert "neighbors.safetensors" not in release.card.digests
    assert any("explanations will show no training images" in sentence for sentence in said)
    assert len(Classifier.load(release.folder, torch.device("cpu")).card.classes) == 2


def renamed(split: Split, before: str, after: str) -> Split:
    return dataclasses.replace(split, names=[after if name == before else name for name in split.names])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ("right", "left")}, "its classes were 'left', 'right' and are 'right', 'left'; "),
        (
            {"classes": ("left", "caf\xe9")},
            r"its .* are 'left', 'caf\xe9' \('caf\\xe9'\)",
        ),
        (
            {"train": renamed(split(64), "63.png", "new.png")},
            r"1 of the images is gone \(63\.png\); 1 of the images is new \(new\.png\); ",
        ),
        (
            {"train": dataclasses.replace(split(64), labels=[1 - label for label in split(64).labels])},
            r"64 changed their split or class \(0\.png: was train left, .*; is train right, .* and 59 more\); ",
        ),
        ({"sha256": "1" * 64}, "images were changed under the same names; "),
    ],
    ids=["order of classes", "name of a class", "name of an image", "labels", "pixels"],
)
def test_resume_with_other_data_is_refused_with_both_shown(
    halves: Dataset, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    stop(halves, tmp_path)
    with pytest.raises(CheckpointError, match=rf"began with other data: {words}.*restore the data, or use --restart"):
        made(dataclasses.replace(halves, **change), tmp_path, resume=True)
    assert made(halves, tmp_path, resume=True).card.classes == ("left", "right")


def test_resume_without_a_record_still_refuses_other_classes(halves: Dataset, tmp_path: Path) -> None:
    stop(halves, tmp_path)
    (unfinished("halves", "1.0", tmp_path) / "data.json").unlink()
    with pytest.raises(CheckpointError, match="made with other data"):
        made(dataclasses.replace(halves, classes=("right", "left")), tmp_path, resume=True)
