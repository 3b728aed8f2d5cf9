"""Advice on augmentation."""

from __future__ import annotations

import pytest

from tests.unit.training.metrics.test_battery import figures_of
from training import recipe
from training.battery.changes import CHANGES
from training.metrics.advice import blind_spots
from training.metrics.battery import Battery
from training.metrics.interval import share
from training.recipe import Recipe

UNCHANGED = figures_of("unchanged", 0, 4)


def test_significant_losses_are_listed_the_largest_first() -> None:
    battery = Battery((UNCHANGED, figures_of("mirrored", 0, 40), figures_of("gray", 0, 90)), ())
    gray, mirrored = blind_spots(battery, 24)
    assert (gray.name, mirrored.name) == ("gray", "mirrored")
    assert (mirrored.accuracy, mirrored.unchanged) == (share(160, 200), share(196, 200))
    assert (mirrored.switch, mirrored.is_on) == ("augmentation.flip=true", False)


@pytest.mark.parametrize(("lost", "gained", "is_listed"), [(7, 0, False), (8, 0, True), (30, 20, False), (0, 0, False)])
def test_loss_is_significant_by_the_images_that_change(lost: int, gained: int, is_listed: bool) -> None:
    # 2 to the power of -8 is below 0.05 / 11, and 2 to the power of -7 is not.
    entry = figures_of("mirrored", 0, lost)
    entry = type(entry)(**{name: getattr(entry, name) for name in entry.__slots__} | {"gained": gained})
    assert bool(blind_spots(Battery((UNCHANGED, entry), ()), 24)) is is_listed


def test_switch_that_is_on_already_is_said() -> None:
    battery = Battery((UNCHANGED, figures_of("mirrored", 0, 40), figures_of("dimmed", 0, 40)), ())
    how = recipe.load("default", {"augmentation.flip": True}).model_dump(mode="json")
    assert {spot.name: spot.is_on for spot in blind_spots(battery, 24, how)} == {"mirrored": True, "dimmed": False}


def test_every_switch_is_a_key_of_the_recipe() -> None:
    battery = Battery((UNCHANGED, *(figures_of(change.name, 0, 100) for change in CHANGES)), ())
    spots = blind_spots(battery, 24)
    assert {spot.name for spot in spots} == {change.name for change in CHANGES}
    assert [spot.name for spot in spots if spot.switch is None] == ["noisy"]
    for spot in spots:
        if spot.switch:
            key, value = recipe.assignment(spot.switch)
            changed = recipe.load("default", {key: value})
            assert isinstance(changed, Recipe)
            assert changed.augmentation != Recipe().augmentation


def test_foreign_and_own_sets_are_no_blind_spots() -> None:
    assert blind_spots(Battery((UNCHANGED, figures_of("ood_data", 0, 200)), ()), 24) == ()


def test_blur_grows_with_the_input() -> None:
    battery = Battery((UNCHANGED, figures_of("blurred", 0, 50)), ())
    assert [spot.switch for size in (24, 224) for spot in blind_spots(battery, size)] == [
        "augmentation.blur=1.5",
        "augmentation.blur=14",
    ]
