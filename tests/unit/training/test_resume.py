"""A training that is stopped anywhere and resumed ends with the same bits as an undisturbed one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.unit.training.halves import At, ctrl_c, recipe, same, source, training
from training.loop import checkpoint, loop
from training.loop.checkpoint import CheckpointError
from training.loop.history import Epoch
from training.loop.interruption import Interrupted
from training.loop.loop import Training

EPOCHS, STEPS = 3, 4
PLACES = [(epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(1, STEPS + 1)]
# All that a checkpoint must hold: batch norm and dropout are in the network below.
EVERYTHING: dict[str, Any] = {
    "epochs": EPOCHS,
    "batch_size": 16,
    "ema": 0.8,
    "augmentation": {"crop": 1, "mixup": 0.4},
    "loss": {"label_smoothing": 0.1},
    "schedule": {"name": "one_cycle"},
    "early_stopping": {"patience": 2},
    "channels_last": True,
}
OPTIMIZERS = {
    "sgd": {"name": "sgd", "learning_rate": 0.02, "weight_decay": 1e-3, "nesterov": True},
    "adamw": {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01, "clip": 1.0},
}


class Killed(Exception):
    pass


def kill() -> None:
    raise Killed


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8 * 36, 2)
        )


def made(optimizer: str, **more: Any) -> Training:
    return training(recipe(**EVERYTHING, optimizer=OPTIMIZERS[optimizer]), network=network(), **more)


def told(trained: Training) -> list[dict[str, Any]]:
    """The history, but for how long it took."""
    return [
        {key: value for key, value in epoch.as_dict().items() if key not in ("seconds", "images_per_second")}
        for epoch in trained.history
    ]


@pytest.fixture(scope="module", params=OPTIMIZERS)
def undisturbed(request: pytest.FixtureRequest) -> tuple[str, Training]:
    trained = made(request.param)
    trained.run()
    return request.param, trained


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES[:-1], ids=str)
def test_stopped_by_ctrl_c_and_gone_on_with(
    undisturbed: tuple[str, Training], place: tuple[int, int], tmp_path: Path
) -> None:
    optimizer, expected = undisturbed
    with pytest.raises(Interrupted, match=rf"stopped in epoch {place[0]}, after batch {place[1]} of 4"):
        made(optimizer, folder=tmp_path, observers=[At(place, ctrl_c)]).run()
    again = made(optimizer, folder=tmp_path)
    again.resume()
    assert len(again.history) * STEPS + again.done == PLACES.index(place) + 1, "not one batch was lost"
    again.run()
    assert same(again, expected)
    assert told(again) == told(expected)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES[STEPS:], ids=str)
def test_killed_and_gone_on_with_from_the_last_epoch(
    undisturbed: tuple[str, Training], place: tuple[int, int], tmp_path: Path
) -> None:
    optimizer, expected = undisturbed
    with pytest.raises(Killed):
        made(optimizer, folder=tmp_path, observers=[At(place, kill)]).run()
    again = made(optimizer, folder=tmp_path)
    again.resume()
    assert (len(again.history), again.done) == (place[0] - 1, 0)
    again.run()
    assert same(again, expected)
    assert told(again) == told(expected)


@pytest.mark.parametrize("number", range(1, EPOCHS + 1))
def test_killed_as_an_epoch_is_told_and_gone_on_with_after_it(
    undisturbed: tuple[str, Training], number: int, tmp_path: Path
) -> None:
    class Told(At):
        def epoch(self, epoch: Epoch) -> None:
            if epoch.number == number:
                kill()

    optimizer, expected = undisturbed
    with pytest.raises(Killed):
        made(optimizer, folder=tmp_path, observers=[Told((9, 9), None)]).run()
    again = made(optimizer, folder=tmp_path)
    again.resume()
    assert (len(again.history), again.done) == (number, 0)
    again.run()
    assert same(again, expected)
    assert told(again) == told(expected)


def test_stopped_after_every_batch(undisturbed: tuple[str, Training], tmp_path: Path) -> None:
    optimizer, expected = undisturbed
    for number, place in enumerate(PLACES):
        trained = made(optimizer, folder=tmp_path, observers=[At(place, ctrl_c)])
        if number:
            trained.resume()
        if place != PLACES[-1]:
            with pytest.raises(Interrupted):
                trained.run()
    trained.run()
    assert same(trained, expected)
    assert told(trained) == told(expected)


def test_a_long_epoch_is_kept_on_its_way(
    undisturbed: tuple[str, Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer, expected = undisturbed
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        made(optimizer, folder=tmp_path, observers=[At((2, 3), kill)]).run()
    again = made(optimizer, folder=tmp_path)
    again.resume()
    assert (len(again.history), again.done) == (1, 2)
    again.run()
    assert same(again, expected)
    assert told(again) == told(expected)


def test_a_training_that_was_done_is_done(undisturbed: tuple[str, Training], tmp_path: Path) -> None:
    """Killed while the release was written, say."""
    optimizer, expected = undisturbed
    made(optimizer, folder=tmp_path).run()
    again = made(optimizer, folder=tmp_path)
    again.resume()
    again.run()
    assert same(again, expected)
    assert told(again) == told(expected)


def test_best_weights_and_patience_outlive_a_stop(tmp_path: Path) -> None:
    """The labels of the held images are the wrong ones, so the first epoch is the best."""
    wrong = source(32, 1)
    wrong.labels = 1 - wrong.labels
    how = recipe(epochs=9, early_stopping={"patience": 2})
    expected = training(how, held=wrong)
    expected.run()
    with pytest.raises(Interrupted):
        training(how, held=wrong, folder=tmp_path, observers=[At((2, 3), ctrl_c)]).run()
    again = training(how, held=wrong, folder=tmp_path)
    again.resume()
    assert len(again.run()) == len(expected.history) == 3
    assert same(again, expected)


def test_an_epoch_of_a_single_batch_can_be_stopped_too(tmp_path: Path) -> None:
    how = recipe(batch_size=64, epochs=5)
    with pytest.raises(Interrupted, match="stopped in epoch 2, after batch 1 of 1"):
        training(how, folder=tmp_path, observers=[At((2, 1), ctrl_c)]).run()
    assert len(checkpoint.read(tmp_path)[1]["history"]) == 2


def test_elapsed_time_continues_after_resume(tmp_path: Path) -> None:
    first = made("sgd", folder=tmp_path, observers=[At((1, 3), ctrl_c)])
    with pytest.raises(Interrupted):
        first.run()
    again = made("sgd", folder=tmp_path)
    again.resume()
    clock, cpu = again.spent
    assert (clock, cpu) > tuple(checkpoint.read(tmp_path)[1]["spent"]) > (0, 0)
    assert again.before == tuple(checkpoint.read(tmp_path)[1]["spent"])
    again.seconds += 100
    assert again.run()[0].seconds > 100


def test_observers_are_told_what_is_done_already(tmp_path: Path) -> None:
    begun: list[tuple[int, ...]] = []

    class Begun(At):
        def begin(self, *numbers: int) -> None:
            begun.append(numbers)

    with pytest.raises(Interrupted):
        made("sgd", folder=tmp_path, observers=[At((2, 3), ctrl_c)]).run()
    again = made("sgd", folder=tmp_path, observers=[Begun((9, 9), None)])
    again.resume()
    again.run()
    assert begun == [(EPOCHS, STEPS, 64, 1, 3)]


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    with pytest.raises(Interrupted):
        training(folder=tmp_path, identity="these", observers=[At((1, 2), ctrl_c)]).run()
    return tmp_path


def test_a_checkpoint_of_another_recipe_is_refused(stopped: Path) -> None:
    other = training(recipe(epochs=4, optimizer={"name": "adam"}), folder=stopped, identity="these")
    with pytest.raises(CheckpointError, match=r"epochs was 3 and is 4; optimizer\.name was 'sgd' and is 'adam'"):
        other.resume()


def test_a_checkpoint_of_other_data_is_refused(stopped: Path) -> None:
    with pytest.raises(CheckpointError, match=r"made with other data: use --restart"):
        training(folder=stopped, identity="others").resume()


def test_a_checkpoint_of_another_network_is_refused(stopped: Path) -> None:
    other = training(network=network(), folder=stopped, identity="these")
    with pytest.raises(
        CheckpointError, match=r"its checkpoint is of another network: .*(Missing|size mismatch)"
    ) as found:
        other.resume()
    assert "\n" not in str(found.value)


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume"):
        training(folder=tmp_path).resume()
