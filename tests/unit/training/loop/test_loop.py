"""The loop learns, by every option, and always the same."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models import architectures
from tests.unit.training.halves import SPEC, dataset, recipe, same, source, split, training, weights
from training.loop import loop
from training.loop.augment import augment
from training.loop.history import Epoch
from training.loop.job import TrainingJob
from training.loop.loader import Streamed
from training.loop.loop import Training

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "cross_entropy": {"loss": {"label_smoothing": 0.1, "class_weights": "balanced"}},
    "mean_squared_error": {"loss": {"name": "mean_squared_error"}, "optimizer": {"learning_rate": 0.05}},
    "focal": {"loss": {"name": "focal", "gamma": 1.0}},
    "nesterov": {"optimizer": {"nesterov": True}},
    "adam": {"optimizer": {"name": "adam", "learning_rate": 0.002}},
    "adamw": {"optimizer": {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01}},
    "cosine": {"schedule": {"name": "cosine"}, "optimizer": {"learning_rate": 0.04}},
    "one_cycle": {"schedule": {"name": "one_cycle"}, "optimizer": {"learning_rate": 0.04}},
    "l1": {"optimizer": {"l1": 1e-5}},
    "l2": {"optimizer": {"weight_decay": 1e-3}},
    "clip": {"optimizer": {"clip": 0.3}},
    "ema": {"ema": 0.5},
    "channels_last": {"channels_last": True},
    "bfloat16": {"precision": "bfloat16"},
    "crop, color and cutout": {"augmentation": {"crop": 1, "color": 0.2, "cutout": 2}},
    "mixup": {"augmentation": {"mixup": 0.4}},
}


class Told:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def begin(self, epochs: int, steps: int, images: int, epochs_done: int, steps_done: int) -> None:
        self.words.append(f"begin {epochs} {steps} {images} {epochs_done} {steps_done}")

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        assert 0 <= accuracy <= 1
        self.words.append(f"step {epoch} {step}")

    def epoch(self, epoch: Epoch) -> None:
        self.words.append(f"epoch {epoch.number}")

    def end(self) -> None:
        self.words.append("end")


def test_loop_learns_and_records_its_history() -> None:
    trained = training(recipe(epochs=6))
    history = trained.run()
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1].train_loss < history[0].train_loss / 10
    assert (history[-1].train_accuracy, history[-1].calibration_accuracy) == (1.0, 1.0)
    assert history[-1].calibration_loss < 0.1
    assert all(epoch.seconds > 0 and epoch.images_per_second > 0 for epoch in history)
    assert min(trained.spent) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_trains(name: str) -> None:
    history = training(recipe(epochs=4, **OPTIONS[name])).run()
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].calibration_loss < history[0].calibration_loss
    assert history[-1].calibration_accuracy > 0.9


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_makes_a_difference(name: str) -> None:
    rate = OPTIONS[name].get("optimizer", {}).get("learning_rate", 0.02)
    plain = training(recipe(epochs=1, optimizer={"learning_rate": rate}))
    other = training(recipe(epochs=1, **OPTIONS[name]))
    plain.run()
    other.run()
    # Where tensors lie in memory is for speed alone: other sums, the same weights but for their last bits.
    assert same(plain, other) == (name == "plain") or name == "channels_last"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_compiled_network_trains_to_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    # Captured as torch.compile does it, but run as it is: the real backend takes a minute to start.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    compiled, plain = training(recipe(epochs=1, compile=True)), training(recipe(epochs=1))
    assert compiled.forward is not compiled.network
    compiled.run()
    plain.run()
    assert same(compiled, plain)


def test_the_same_seed_gives_the_same_weights_to_the_bit() -> None:
    one, again = (training(recipe(augmentation={"mixup": 0.3, "crop": 1})) for _ in range(2))
    losses = [[epoch.train_loss for epoch in trained.run()] for trained in (one, again)]
    assert same(one, again)
    assert losses[0] == losses[1]


def test_seed_changes_weights_and_order() -> None:
    one, other = training(), training()
    other.recipe = recipe(seed=1)  # from the same initial weights
    one.run()
    other.run()
    assert not same(one, other)


def test_training_does_not_disturb_the_random_numbers_of_others() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    training(recipe(epochs=1)).run()
    assert torch.equal(torch.rand(3), expected)


def test_no_two_batches_are_varied_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def varied(*arguments: Any) -> Any:
        drawn.append(float(arguments[-1].uniform()[0]))
        return augment(*arguments)

    monkeypatch.setattr(loop, "augment", varied)
    training().run()
    assert len(set(drawn)) == len(drawn) == 3 * 7


def test_the_first_epochs_see_smaller_pictures_and_the_others_whole_ones() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2)
    )
    sizes: list[int] = []
    network[0].register_forward_pre_hook(
        lambda module, inputs: sizes.append(inputs[0].shape[-1]) if module.training else None
    )
    history = training(recipe(progressive={"size": 5, "epochs": 2}), network=network).run()
    assert sizes == [5] * 14 + [8] * 7
    assert history[-1].calibration_loss < history[0].calibration_loss


def test_images_that_are_streamed_give_the_same_weights_as_those_in_memory() -> None:
    streamed = Streamed(split(), SPEC, torch.device("cpu"))
    one, other = training(train=streamed), training()
    one.run()
    other.run()
    assert same(one, other)


def test_a_last_batch_that_is_not_full_counts_by_its_images() -> None:
    images = source(17)
    (epoch,) = training(recipe(epochs=1, batch_size=15, optimizer={"learning_rate": 1e-12}), images, held=images).run()
    assert epoch.train_loss == pytest.approx(epoch.calibration_loss, rel=1e-4)
    assert epoch.train_accuracy == pytest.approx(epoch.calibration_accuracy)


def test_the_rate_of_an_epoch_is_that_of_its_last_step() -> None:
    history = training(recipe(epochs=2, schedule={"name": "one_cycle", "warmup": 0, "last": 0.25})).run()
    # 14 steps, from 1 to 0.25 in a straight line: the 7th and the 14th.
    assert [epoch.learning_rate / 0.02 for epoch in history] == pytest.approx([1 - 0.75 * 6 / 13, 0.25])


def test_a_running_mean_is_what_is_measured_and_kept() -> None:
    plain, mean = training(recipe(epochs=1)), training(recipe(epochs=1, ema=0.9))
    steps: list[dict[str, torch.Tensor]] = []
    after = plain.optimizer.register_step_post_hook(
        lambda *_: steps.append({name: value.clone() for name, value in weights(plain).items()})
    )
    plain.run()
    after.remove()
    (epoch,) = mean.run()
    for name, value in weights(mean).items():
        expected = steps[0][name]
        for step in steps[1:]:
            expected = 0.9 * expected + 0.1 * step[name]
        assert torch.allclose(value, expected, atol=1e-6)
    assert epoch.calibration_loss != plain.history[0].calibration_loss


def test_early_stopping_keeps_the_best_weights_and_ends() -> None:
    """The labels of the held images are the wrong ones: the better it learns, the worse it does."""
    wrong = source(32, 1)
    wrong.labels = 1 - wrong.labels
    how = recipe(epochs=9, early_stopping={"patience": 2})
    trained = training(how, held=wrong)
    first = training(recipe(epochs=1), held=wrong)
    history, _ = trained.run(), first.run()
    assert len(history) == 3, "the best epoch, and two that were no better"
    assert min(history, key=lambda epoch: epoch.calibration_loss).number == 1
    assert same(trained, first)


def test_without_early_stopping_the_last_weights_stay() -> None:
    wrong = source(32, 1)
    wrong.labels = 1 - wrong.labels
    trained, first = training(recipe(epochs=3), held=wrong), training(recipe(epochs=1), held=wrong)
    first.run()
    assert len(trained.run()) == 3
    assert not same(trained, first)


def test_a_loss_that_is_no_number_names_epoch_batch_and_images(tmp_path: Path) -> None:
    trained = training(recipe(optimizer={"learning_rate": 1e20}), folder=tmp_path)
    with pytest.raises(
        FloatingPointError,
        match=r"^the loss is (nan|inf) at epoch 1, batch \d of 7 \((\d+\.png, ){8}\.\.\.\): lower the learning rate, "
        r"which is at most 1e\+20, or set optimizer\.clip$",
    ):
        trained.run()
    assert list(tmp_path.iterdir()) == [], "weights that are no numbers are not kept"


def test_a_batch_of_few_images_is_named_whole() -> None:
    trained = training(recipe(batch_size=3, optimizer={"learning_rate": 1e20}))
    with pytest.raises(FloatingPointError, match=r"\(\d+\.png, \d+\.png, \d+\.png\): "):
        trained.run()


def test_observers_are_told_in_order_and_of_an_end_that_was_too_early() -> None:
    told, broken = Told(), Told()
    training(recipe(epochs=2, batch_size=32), observers=[told]).run()
    epochs = [[f"step {number} 1", f"step {number} 2", f"epoch {number}"] for number in (1, 2)]
    assert told.words == ["begin 2 2 64 0 0", *epochs[0], *epochs[1], "end"]
    with pytest.raises(FloatingPointError):
        training(recipe(optimizer={"learning_rate": 1e20}), observers=[broken]).run()
    assert broken.words[-1] == "end"


@pytest.mark.parametrize("architecture", ["resnet9", "resnet18"])
def test_a_last_batch_of_a_single_image_does_not_stop_batch_norm(architecture: str) -> None:
    """33 = 2 * 16 + 1; a ResNet-18 leaves one pixel of 32, of which batch norm can take no deviation."""
    size = 8 if architecture == "resnet9" else 32
    images = source(33)
    images.uncropped = images.uncropped.repeat(1, 1, size // 8, size // 8)
    network = architectures.build(architecture, image_size=size, classes=2)
    spec = SPEC.model_copy(update={"size": size})
    trained = Training(
        TrainingJob(dataset=dataset(), model="halves", version="1.0", recipe=recipe(epochs=1, batch_size=16)),
        network,
        spec,
        images,
        images,
    )
    assert trained.run()[0].train_loss > 0
    assert trained.steps == 2
