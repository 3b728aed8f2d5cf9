from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from models import architectures
from models.card import Input
from training.loop import Labelled, Settings, fit

SPEC = Input(size=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture
def halves() -> Labelled:
    """Two classes that anything can learn: light on the left, light on the right."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 100, (64, 3, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(64) % 2
    for place, label in enumerate(labels.tolist()):
        pixels[place, :, :, 4 * label : 4 * label + 4] += 120
    return Labelled(pixels, labels)


def trained(data: Labelled, **settings: Any) -> tuple[nn.Module, list[float]]:
    torch.manual_seed(0)
    network = architectures.build("cnn", image_size=8, classes=2)
    history = fit(network, SPEC, data, data, Settings(**{"epochs": 2, "batch_size": 16, **settings}))
    return network, [epoch.train_loss for epoch in history]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(left, right) for left, right in zip(one.parameters(), other.parameters(), strict=True))


def test_the_same_seed_gives_the_same_weights_to_the_bit(halves: Labelled) -> None:
    (one, losses), (other, losses_again) = trained(halves), trained(halves)
    assert same(one, other)
    assert losses == losses_again


def test_another_seed_gives_other_weights(halves: Labelled) -> None:
    assert not same(trained(halves)[0], trained(halves, seed=1)[0])


def test_training_does_not_disturb_the_random_numbers_of_others(halves: Labelled) -> None:
    network = architectures.build("cnn", image_size=8, classes=2)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(network, SPEC, halves, halves, Settings(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_the_history_tells_of_each_epoch(halves: Labelled) -> None:
    torch.manual_seed(0)
    network = architectures.build("cnn", image_size=8, classes=2)
    history = fit(network, SPEC, halves, halves, Settings(epochs=6, batch_size=8))
    assert len(history) == 6
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].calibration_accuracy == 1.0
    assert history[-1].calibration_loss < 0.2
    assert all(0 <= epoch.train_accuracy <= 1 for epoch in history)


def test_a_last_batch_that_is_not_full_counts_by_its_images(halves: Labelled) -> None:
    odd = Labelled(halves.pixels[:17], halves.labels[:17])
    torch.manual_seed(0)
    network = architectures.build("cnn", image_size=8, classes=2)
    (epoch,) = fit(network, SPEC, odd, odd, Settings(epochs=1, batch_size=16, learning_rate=1e-12))
    assert epoch.train_loss == pytest.approx(epoch.calibration_loss, rel=1e-4)
    assert epoch.train_accuracy == pytest.approx(epoch.calibration_accuracy)


def test_a_loss_that_is_no_number_ends_the_training(halves: Labelled) -> None:
    with pytest.raises(
        FloatingPointError,
        match=r"the loss is (nan|inf) at epoch \d, batch \d: lower the learning rate, which is 10000000000\.0",
    ):
        trained(halves, learning_rate=1e10)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"epochs": 0}, "epochs is 0: it must be 1 or more"),
        ({"epochs": -3}, "epochs is -3: it must be 1 or more"),
        ({"batch_size": 0}, "batch_size is 0: it must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0: it must be above 0"),
        ({"learning_rate": -0.1}, "learning_rate is -0.1: it must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan: it must be above 0"),
        ({"momentum": 1.0}, "momentum is 1.0: it must be at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum is -0.1: it must be at least 0 and below 1"),
        ({"momentum": float("nan")}, "momentum is nan: it must be at least 0 and below 1"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_done(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(**setting)
