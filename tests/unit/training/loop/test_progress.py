"""Progress bar, lines and TensorBoard events of a training."""

from __future__ import annotations

import builtins
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from training.loop.history import Epoch
from training.loop.progress import Progress, TensorBoard

FIRST = Epoch(1, 0.5, 0.75, 0.6, 0.7, 0.1, 100.0, 2.0)
SECOND = Epoch(2, 0.25, 0.875, 0.3, 0.85, 0.05, 100.0, 2.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(observer: Any, start: tuple[int, int] = (0, 0)) -> None:
    """Two epochs of four batches over 100 images."""
    observer.begin(2, 4, 100, *start)
    for epoch, result in ((1, FIRST), (2, SECOND)):
        for step in range(1, 5):
            if (epoch, step) > (start[0] + 1, start[1]):
                observer.step(epoch, step, 1.0 / step, step / 4)
        if epoch > start[0]:
            observer.epoch(result)
    observer.end()


def test_each_epoch_is_a_line_and_a_log_has_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    run(Progress())
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "epoch 1/2  train loss 0.5000 accuracy 75.00%  calibration loss 0.6000 accuracy 70.00%  100 images/s  2.0 s",
        "epoch 2/2  train loss 0.2500 accuracy 87.50%  calibration loss 0.3000 accuracy 85.00%  100 images/s  2.0 s",
    ]
    assert said.err == ""


def test_a_terminal_has_a_bar_with_loss_accuracy_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(Progress())
    shown = terminal.getvalue()
    assert re.search(r"\repoch 1/2, loss 0\.250, accuracy 100\.0% \|.+\|  50 %, \S+ images/s, 00:00 left", shown)
    assert re.search(r"\repoch 2/2, loss 0\.250, accuracy 100\.0% \|.+\| 100 %, \S+ images/s, 00:00 left", shown)
    assert shown.rpartition("\r")[0].endswith(" "), "in the end it is wiped away"


def test_a_training_that_goes_on_begins_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(Progress(), start=(1, 2))
    assert "|  75 %, " in terminal.getvalue().split("images/s")[0], "an epoch and a half of two"


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_steps_and_epochs(tmp_path: Path) -> None:
    run(TensorBoard(tmp_path))
    found = scalars(tmp_path)
    assert found["step/loss"] == [(step, pytest.approx(1 / (1 + (step - 1) % 4))) for step in range(1, 9)]
    assert found["loss/train"] == [(1, 0.5), (2, 0.25)]
    assert found["accuracy/calibration"] == [(1, pytest.approx(0.7)), (2, pytest.approx(0.85))]
    assert {"learning_rate", "images_per_second", "seconds", "step/accuracy"} <= found.keys()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_steps_after_the_last_checkpoint_are_not_repeated(tmp_path: Path) -> None:
    killed = TensorBoard(tmp_path)
    killed.begin(2, 4, 100, 0, 0)
    for step in range(1, 5):
        killed.step(1, step, 9.0, 0.5)
    killed.epoch(FIRST)
    killed.step(2, 1, 9.0, 0.5)
    killed.end()
    run(TensorBoard(tmp_path), start=(1, 0))
    found = scalars(tmp_path)
    assert [step for step, _ in found["step/loss"]] == list(range(1, 9))
    assert found["step/loss"][3:5] == [(4, 9.0), (5, 1.0)]
    assert found["loss/train"] == [(1, 0.5), (2, 0.25)]


def test_without_tensorboard_its_flag_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"--tensorboard needs the package tensorboard: "):
        TensorBoard(tmp_path / "tb")
    assert not (tmp_path / "tb").exists()
