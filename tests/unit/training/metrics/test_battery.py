"""Figures of the battery, of a classifier that answers the color that an image has most of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.card import OutOfDistribution, Policy
from tests.unit.training.colors import UNCERTAINTY, classifier, plain, split
from training.data.dataset import Split
from training.metrics import battery as battery_figures
from training.metrics.battery import Battery, SetFigures, measure_battery
from training.metrics.interval import share

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
PICTURES = split(*([(RED, 0), (GREEN, 1), (BLUE, 2)] * 4))
# Accepts everything.
TRUSTING = UNCERTAINTY.model_copy(update={"policy": Policy(out_of_distribution=False, max_set_size=None)})


def by_name(battery: Battery) -> dict[str, SetFigures]:
    return {entry.name: entry for entry in battery.sets}


@pytest.fixture(scope="module")
def trusting() -> Battery:
    return measure_battery(classifier(TRUSTING), PICTURES, count=12)


def test_unchanged_images_come_first(trusting: Battery) -> None:
    first = trusting.sets[0]
    assert (first.name, first.images, first.lost, first.gained) == ("unchanged", 12, 0, 0)
    assert trusting.unchanged == first
    assert first.accuracy == first.accepted == first.right_accepted == share(12, 12)
    assert first.accepted_wrong == share(0, 12)


def test_changed_images_are_compared_with_their_labels(trusting: Battery) -> None:
    sets = by_name(trusting)
    assert sets["mirrored"].accuracy == share(12, 12), "one color has no left and right"
    assert sets["inverted"].accuracy == share(0, 12)
    assert (sets["inverted"].lost, sets["inverted"].gained) == (12, 0)
    assert sets["inverted"].accepted_wrong == share(12, 12)
    assert sets["tinted_orange"].accuracy == share(12, 12)


def test_no_prediction_is_right_for_a_foreign_image(trusting: Battery) -> None:
    noise = by_name(trusting)["noise"]
    assert (noise.accuracy, noise.right_accepted, noise.lost, noise.gained) == (None, None, None, None)
    assert noise.is_foreign
    assert noise.accepted == noise.accepted_wrong == share(12, 12)


def test_example_of_each_set_is_one_of_its_images(trusting: Battery) -> None:
    assert len(trusting.examples) == len(trusting.sets)
    assert all(example.shape == (3, 8, 8) and example.dtype == torch.uint8 for example in trusting.examples)
    names = [entry.name for entry in trusting.sets]
    assert trusting.examples[names.index("inverted")][:, 0, 0].tolist() == [55, 225, 225]


def test_example_is_the_image_that_a_mirror_changes_most() -> None:
    half = np.zeros((8, 8, 3), dtype=np.uint8)
    half[:, :4, 0] = 200
    battery = measure_battery(classifier(), Split([plain(*GREEN), half, plain(*RED)], [1, 0, 0]), count=3)
    assert torch.equal(battery.examples[0], torch.from_numpy(half).permute(2, 0, 1))
    mirrored = [entry.name for entry in battery.sets].index("mirrored")
    assert torch.equal(battery.examples[mirrored], battery.examples[0].flip(-1))


def test_referred_images_are_counted_by_reason_and_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = OutOfDistribution.model_validate(
        UNCERTAINTY.ood.model_dump() | {"threshold": -1e6}  # every image is out of distribution
    )
    battery = measure_battery(classifier(UNCERTAINTY.model_copy(update={"ood": strict})), PICTURES, count=6)
    inverted = by_name(battery)["inverted"]
    assert inverted.accepted == share(0, 6)
    assert inverted.right_accepted is None
    assert inverted.reasons == {"out_of_distribution": 6}
    assert sum(inverted.reason_details.values()) == 6
    assert dict(inverted.causes()) == inverted.reason_details


def test_causes_are_details_and_the_reasons_that_have_none() -> None:
    entry = figures_of("blurred", 0, 0)
    entry = SetFigures(
        **{name: getattr(entry, name) for name in entry.__slots__ if "reason" not in name},
        reasons={"unsure": 2, "out_of_distribution": 5},
        reason_details={"sharpness": 4, "content": 1},
    )
    assert entry.causes() == [("sharpness", 4), ("unsure", 2), ("content", 1)]


def test_without_uncertainty_only_accuracy_is_measured() -> None:
    battery = measure_battery(classifier(), PICTURES, count=6)
    inverted = by_name(battery)["inverted"]
    assert (inverted.accepted, inverted.right_accepted, inverted.accepted_wrong) == (None, None, None)
    assert inverted.accuracy == share(0, 6)
    assert not inverted.is_foreign


def test_own_out_of_distribution_data_are_one_more_set() -> None:
    other = Split([*PICTURES.images, *PICTURES.images], [])
    battery = measure_battery(classifier(TRUSTING), PICTURES, ("my <photos>", other), count=5)
    last = battery.sets[-1]
    assert (last.name, last.title, last.images) == ("ood_data", "my <photos>", 5)
    assert last.accuracy is None


def test_a_set_has_at_most_so_many_images_of_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.Tensor] = []
    observe = battery_figures.observe
    monkeypatch.setattr(
        battery_figures, "observe", lambda engine, pixels: (chosen.append(pixels), observe(engine, pixels))[1]
    )
    battery = measure_battery(classifier(), PICTURES, count=3)
    assert {entry.images for entry in battery.sets} == {3}
    assert sorted(chosen[0][:, :, 0, 0].tolist()) == sorted([list(RED), list(GREEN), list(BLUE)])


def figures_of(name: str, accepted_wrong: int, lost: int, total: int = 200) -> SetFigures:
    return SetFigures(
        name=name,
        title=name,
        images=total,
        accepted=share(total, total),
        right_accepted=None,
        accepted_wrong=share(accepted_wrong, total),
        accuracy=share(total - lost, total),
        lost=lost,
        gained=0,
        reasons={},
        reason_details={},
    )
