from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from handlers import images
from handlers.classifier import Classifier
from handlers.errors import DamagedImage
from models.card import Card
from models.release import Release, ReleaseError, find, sha256, verify_digests
from training.data import Dataset
from training.data.dataset import Split
from training.loop import Settings
from training.release import train

ONCE = Settings(epochs=1)


@pytest.fixture
def few(digits: Dataset) -> Dataset:
    """Enough to train on, and too few to learn from."""
    return dataclasses.replace(
        digits,
        train=Split(digits.train.images[:64], digits.train.labels[:64]),
        calibration=Split(digits.calibration.images[:60], digits.calibration.labels[:60]),
        test=Split(digits.test.images[:8], digits.test.labels[:8]),
    )


def test_a_release_holds_what_the_design_says(release: Release) -> None:
    found = {str(path.relative_to(release.folder)) for path in release.folder.rglob("*") if path.is_file()}
    assert found == {
        "card.yaml",
        "weights.safetensors",
        "golden/answers.json",
        *(f"golden/{index:02d}.png" for index in range(10)),
        "report/metrics.json",
        "report/curves.png",
        "report/confusion.png",
    }


def test_the_card_on_disk_is_the_one_that_is_returned(release: Release) -> None:
    assert Card.load(release.folder) == release.card
    assert find("digits", root=release.folder.parents[1]) == release


def test_the_card_says_what_it_is_and_what_it_was_trained_on(release: Release, digits: Dataset) -> None:
    card = release.card
    assert (card.name, card.version, card.licence, card.classes) == ("digits", "1.0", "CC BY 4.0", digits.classes)
    assert (card.architecture.name, card.architecture.arguments) == ("cnn", {"image_size": 24, "classes": 10})
    assert (card.data.train, card.data.calibration, card.data.test) == (1077, 360, 360)
    assert card.data.sha256 == digits.sha256
    assert card.metrics.test_images == 360
    assert card.metrics.train_cpu_seconds > 0


def test_it_learnt_something(release: Release) -> None:
    assert release.card.metrics.accuracy > 0.9
    assert release.card.metrics.loss < 0.4


def test_the_report_has_the_accuracy_of_the_card(release: Release) -> None:
    document = json.loads((release.folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert round(document["accuracy"], 6) == release.card.metrics.accuracy
    assert len(document["epochs"]) == 4
    for name in ("curves.png", "confusion.png"):
        with Image.open(release.folder / "report" / name) as picture:
            assert picture.format == "PNG"


def test_the_card_vouches_for_the_weights(release: Release) -> None:
    assert release.card.digests["weights.safetensors"] == sha256(release.folder / "weights.safetensors")
    verify_digests(release.folder, release.card)


def test_pixels_are_normalised_by_what_was_trained_on(release: Release, digits: Dataset) -> None:
    spec = release.card.input
    pixels = [images.pixels(images.decode(content), spec) for content in digits.train.images]
    batch = images.batch(pixels, spec, torch.device("cpu"))
    assert batch.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    assert batch.std(dim=(0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_the_golden_images_are_one_of_each_class_and_none_was_trained_on(release: Release, digits: Dataset) -> None:
    contents = [path.read_bytes() for path in sorted((release.folder / "golden").glob("*.png"))]
    places = [digits.calibration.images.index(content) for content in contents]
    assert [digits.calibration.labels[place] for place in places] == list(range(10))


def test_others_may_read_a_release(release: Release) -> None:
    assert release.folder.stat().st_mode & 0o777 == 0o755


def test_training_again_gives_the_same_weights(few: Dataset, tmp_path: Path) -> None:
    one, other = (train(few, "digits", version, ONCE, image_size=8, root=tmp_path) for version in ("1.0", "2.0"))
    assert one.card.digests == other.card.digests
    assert one.card.metrics.accuracy == other.card.metrics.accuracy
    assert Classifier.load(other.folder).card.version == "2.0"
    first, second = (load_file(found.folder / "weights.safetensors") for found in (one, other))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_an_existing_release_is_never_written_over(release: Release, digits: Dataset) -> None:
    before = sha256(release.folder / "card.yaml")
    with pytest.raises(ReleaseError, match=r"1\.0 exists, and a release is never written over: choose another VERSION"):
        train(digits, "digits", "1.0", ONCE, root=release.folder.parents[1])
    assert sha256(release.folder / "card.yaml") == before


@pytest.mark.parametrize(("model", "version"), [("../digits", "1.0"), ("digits", "latest"), ("digits", "../1")])
def test_names_that_are_not_allowed_are_refused_before_training(
    digits: Dataset, tmp_path: Path, model: str, version: str
) -> None:
    with pytest.raises(ReleaseError):
        train(digits, model, version, ONCE, root=tmp_path / "releases")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_architecture_is_refused(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no architecture 'vit'"):
        train(digits, "digits", "1.0", ONCE, architecture="vit", root=tmp_path)


def test_a_run_that_fails_leaves_no_draft_behind(few: Dataset, tmp_path: Path) -> None:
    broken = dataclasses.replace(few, test=Split([few.test.images[0][:60]], [0]))
    with pytest.raises(DamagedImage):
        train(broken, "digits", "1.0", ONCE, root=tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.name != "digits"] == []


def test_a_loss_that_is_no_number_leaves_nothing_behind(few: Dataset, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(few, "digits", "1.0", Settings(epochs=1, batch_size=4, learning_rate=1e10), root=tmp_path)
    assert list(tmp_path.rglob("*")) == []
