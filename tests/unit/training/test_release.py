"""Contents of a release, and their consistency."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from handlers.classifier import Classifier
from handlers.modalities.image import images
from handlers.modalities.image.pixel_statistics import STATISTICS
from handlers.uncertainty.observation import observe
from models.card import Card
from models.release import Release, find, sha256, verify_digests
from tests.unit.training.halves import split
from training import recipe, report, uncertainty
from training.data import Dataset
from training.loop.job import TrainingJob
from training.train import train


def test_a_release_holds_what_the_design_says(release: Release) -> None:
    found = {str(path.relative_to(release.folder)) for path in release.folder.rglob("*") if path.is_file()}
    assert found == {
        "card.yaml",
        "neighbors.safetensors",
        "recipe.yaml",
        "uncertainty.safetensors",
        "weights.safetensors",
        "golden/answers.json",
        *(f"golden/{index:02d}.png" for index in range(10)),
        "report/metrics.json",
        "report/report.html",
        *(
            f"report/{name}.png"
            for name in ("confusion", "curves", "mistakes", "ood", "prediction_sets", "referral", "reliability")
        ),
    }


def test_the_card_on_disk_is_the_one_that_is_returned(release: Release) -> None:
    assert Card.load(release.folder) == release.card
    assert find("digits", root=release.folder.parents[1]) == release


def test_the_card_says_what_it_is_and_what_it_was_trained_on(release: Release, digits: Dataset) -> None:
    card = release.card
    assert (card.name, card.version, card.license, card.classes) == ("digits", "1.0", "CC BY 4.0", digits.classes)
    assert (card.architecture.name, card.architecture.arguments) == ("cnn", {"image_size": 24, "classes": 10})
    assert (card.data.train, card.data.calibration, card.data.test) == (1077, 360, 360)
    assert card.data.sha256 == digits.sha256
    assert card.metrics.test_images == 360
    assert card.metrics.train_cpu_seconds > 0


def test_the_recipe_that_made_it_is_kept(release: Release) -> None:
    assert recipe.load(str(release.folder / "recipe.yaml")) == recipe.load("default", {"epochs": 4})


def test_training_learns(release: Release) -> None:
    assert release.card.metrics.accuracy > 0.9
    assert release.card.metrics.loss < 0.4


def test_the_report_has_the_accuracy_of_the_card(release: Release) -> None:
    document = json.loads((release.folder / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert round(document["accuracy"], 6) == release.card.metrics.accuracy


def test_the_card_vouches_for_weights_and_trust(release: Release) -> None:
    names = ("weights.safetensors", "uncertainty.safetensors", "neighbors.safetensors")
    assert release.card.digests == {name: sha256(release.folder / name) for name in names}
    verify_digests(release.folder, release.card)


def test_trust_is_fitted_on_what_is_served(release: Release, classifier: Classifier, digits: Dataset) -> None:
    """The loop's uncropped images and the server's images come to the same temperature and thresholds."""

    def scored(part: Any) -> uncertainty.Scored:
        pixels = [images.pixels(images.decode(content), release.card.input) for content in part.images]
        return uncertainty.Scored(observe(classifier.engine, images.stack(pixels)), torch.tensor(part.labels))

    found = release.card.uncertainty
    assert found is not None
    settings = uncertainty.UncertaintySettings(ood=found.ood.score)
    fitted = uncertainty.fit(scored(digits.train), scored(digits.calibration), settings)
    assert found.temperature == pytest.approx(fitted.uncertainty.temperature, rel=1e-3)
    assert found.ood.threshold == pytest.approx(fitted.uncertainty.ood.threshold, rel=1e-3)
    assert found.ood.choice[found.ood.score] == max(found.ood.choice.values())
    assert found.policy.min_probability == pytest.approx(fitted.uncertainty.policy.min_probability, abs=1e-3)
    assert found.conformal is not None
    assert fitted.uncertainty.conformal is not None
    assert found.conformal.thresholds == pytest.approx(fitted.uncertainty.conformal.thresholds, abs=1e-3)


def test_pixels_are_normalized_by_what_was_trained_on(release: Release, digits: Dataset) -> None:
    spec = release.card.input
    pixels = [images.pixels(images.decode(content), spec) for content in digits.train.images]
    batch = images.batch(pixels, spec, torch.device("cpu"))
    assert batch.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    assert batch.std(dim=(0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)


def test_the_golden_images_are_one_of_each_class_and_none_was_trained_on(release: Release, digits: Dataset) -> None:
    contents = [path.read_bytes() for path in sorted((release.folder / "golden").glob("*.png"))]
    places = [digits.calibration.images.index(content) for content in contents]
    assert [digits.calibration.labels[place] for place in places] == list(range(10))


def test_release_is_readable_by_other_users(release: Release) -> None:
    assert release.folder.stat().st_mode & 0o777 == 0o755
    mask = os.umask(0)
    os.umask(mask)
    files = [path for path in release.folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~mask}


def test_data_warnings_and_ood_data_reach_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[report.Report] = []
    monkeypatch.setattr(report, "write", lambda folder, report: written.append(report) or [])
    said: list[str] = []
    halves = Dataset("halves", "a lamp", "", ("left", "right"), split(64), split(12, 1), split(20, 2), "0" * 64)
    how = recipe.load("default", {"epochs": 1, "input.size": 8})
    train(
        TrainingJob(
            dataset=halves,
            model="h",
            version="1.0",
            recipe=how,
            root=tmp_path,
            data_warnings=["odd"],
            ood_data=("noise", split(9, 3)),
            log=said.append,
        )
    )
    (found,) = written
    assert found.data_warnings[0] == "odd"
    assert list(found.data_warnings[1:]) == said != [], "12 images are too few, which is said"
    assert found.ood_data is not None
    assert (found.ood_data.name, len(found.ood_data.scores)) == ("noise", 9)
    assert found.battery is not None
    assert (found.battery.sets[0].images, found.battery.sets[-1].title, found.battery.sets[-1].images) == (
        20,
        "noise",
        9,
    )
    assert found.cost is not None
    assert (found.cost.weight_bytes, found.cost.seconds > 0) == (
        (tmp_path / "h/1.0/weights.safetensors").stat().st_size,
        True,
    )
    assert len(found.history) == 1


@pytest.mark.parametrize(
    ("change", "copies"), [({}, 1), ({"augmentation.tint": 0.5}, 2), ({"augmentation.cutout": 2}, 1)]
)
def test_distances_are_fitted_on_changed_images_too_if_the_network_was_trained_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], copies: int
) -> None:
    """Without them, a model that learned to answer tinted images would refer them all."""
    seen: list[uncertainty.Scored] = []
    fit = uncertainty.fit

    def watched(train: uncertainty.Scored, *others: Any) -> uncertainty.Fitted:
        seen.append(train)
        return fit(train, *others)

    monkeypatch.setattr(uncertainty, "fit", watched)
    monkeypatch.setattr(report, "write", lambda folder, report: [])
    halves = Dataset("halves", "a lamp", "", ("left", "right"), split(64), split(12, 1), split(20, 2), "0" * 64)
    how = recipe.load("default", {"epochs": 1, "input.size": 8, "uncertainty.ood": "mahalanobis", **change})
    train(TrainingJob(dataset=halves, model="h", version="1.0", recipe=how, root=tmp_path, log=lambda line: None))
    (scored,) = seen
    assert len(scored.labels) == len(scored.outputs.logits) == 64 * copies
    assert scored.labels.tolist() == halves.train.labels * copies
    assert scored.outputs.statistics is not None
    if copies == 2:
        first, second = scored.outputs.statistics.split(64)
        colors = [name for name, kind in STATISTICS.items() if kind == "colors"]
        moved = (second - first)[:, [list(STATISTICS).index(name) for name in colors]].abs().amax(dim=1)
        assert float((moved > 0.01).double().mean()) > 0.9, "nearly every copy has another tint"


def test_images_that_are_arrays_have_golden_ones_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "write", lambda folder, report: [])
    halves = Dataset("halves", "a lamp", "", ("left", "right"), split(64), split(40, 1), split(20, 2), "0" * 64)
    how = recipe.load("default", {"epochs": 1, "input.size": 8})
    train(TrainingJob(dataset=halves, model="h", version="1.0", recipe=how, root=tmp_path))
    for place in range(2):
        with Image.open(tmp_path / "h" / "1.0" / "golden" / f"{place:02d}.png") as picture:
            assert (
                images.pixels(picture, Card.load(tmp_path / "h" / "1.0").input).permute(1, 2, 0).numpy()
                == halves.calibration.images[place]
            ).all()


def test_weights_are_those_of_the_network_that_was_measured(release: Release, classifier: Classifier) -> None:
    kept = load_file(release.folder / "weights.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in classifier.engine.network.state_dict().items())
