"""The command that trains: the meaning of its flags, and its error messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts import train as command
from tests.unit.training.data.test_folder import fill
from training.loop import checkpoint
from training.loop.interruption import Interrupted
from training.loop.job import TrainingJob
from training.recipe import Recipe, load
from training.train import unfinished


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrainingJob]:
    """Jobs of the requested trainings, in an empty folder. No training runs."""
    monkeypatch.chdir(tmp_path)
    jobs: list[TrainingJob] = []

    def train(job: TrainingJob) -> None:
        jobs.append(job)

    monkeypatch.setattr(command, "train", train)
    return jobs


def stopped(model: str, version: str, recipe: Recipe) -> None:
    """Write the files that a stopped training leaves."""
    checkpoint.write(unfinished(model, version), {}, {})
    (unfinished(model, version) / "recipe.yaml").write_text(recipe.to_yaml())


def test_without_a_flag_it_is_the_digits_by_the_default_recipe(calls: list[TrainingJob]) -> None:
    cli.main(["train"])
    (call,) = calls
    assert (call.model, call.version) == ("digits", "1.0")
    assert call.recipe == load("default", {"data": "digits"})
    assert call.dataset.name == "digits"
    assert call.ood_data is None


def test_flags_change_values_of_the_recipe_and_set_has_the_last_word(calls: list[TrainingJob]) -> None:
    flags = "--recipe tuned --image-size 32 --epochs 3 --batch-size 7 --learning-rate 0.5 --seed 9 --weights some.pth"
    cli.main(["train", *flags.split(), "--set", "ema=0.9", "--set", "epochs=4", "--set", "loss.name=focal"])
    recipe = calls[0].recipe
    assert (recipe.input.size, recipe.epochs, recipe.batch_size, recipe.seed, recipe.weights) == (
        32,
        4,
        7,
        9,
        "some.pth",
    )
    assert (recipe.optimizer.learning_rate, recipe.optimizer.nesterov) == (0.5, True)
    assert (recipe.ema, recipe.loss.name, recipe.loss.label_smoothing) == (0.9, "focal", 0.05)


def test_an_architecture_brings_its_own_recipe_where_there_is_one(calls: list[TrainingJob]) -> None:
    cli.main(["train", "--architecture", "resnet9"])
    assert calls[0].recipe == load("resnet9", {"data": "digits"})
    cli.main(["train", "--architecture", "resnet9", "--recipe", "default"])
    assert calls[1].recipe == load("default", {"data": "digits", "architecture.name": "resnet9"})


def test_a_recipe_may_name_its_data(calls: list[TrainingJob], tmp_path: Path) -> None:
    fill(tmp_path / "pets", cat=10, dog=10)
    (tmp_path / "mine.yaml").write_text("data: pets\nepochs: 2\n")
    cli.main(["train", "--recipe", "mine.yaml"])
    assert (calls[0].model, calls[0].dataset.classes) == ("pets", ("cat", "dog"))
    cli.main(["train", "--recipe", "mine.yaml", "--data", "digits"])
    assert calls[1].model == "digits"


@pytest.mark.parametrize(
    ("argument", "model"),
    [("digits", "digits"), ("a/pets", "pets"), ("a/pets/", "pets"), ("pets.csv", "pets"), ("b/cifar.tar.gz", "cifar")],
)
def test_a_model_is_named_after_its_data(argument: str, model: str) -> None:
    assert command._named_after(argument) == model


def test_the_next_version_is_the_one_after_the_newest(calls: list[TrainingJob]) -> None:
    for version in ("1.0", "3.1"):
        Path("releases/digits", version).mkdir(parents=True)
    cli.main(["train"])
    cli.main(["train", "--version", "3.2"])
    assert [call.version for call in calls] == ["4.0", "3.2"]


def test_to_go_on_needs_no_more_than_the_model(calls: list[TrainingJob]) -> None:
    recipe = load("tuned", {"data": "digits", "epochs": 7})
    stopped("mine", "2.0", load("default"))
    stopped("mine", "10.0", recipe)
    cli.main(["train", "--model", "mine", "--resume"])
    (call,) = calls
    assert (call.model, call.version, call.recipe, call.resume) == ("mine", "10.0", recipe, True)
    cli.main(["train", "--model", "mine", "--version", "2.0", "--resume", "--data", "digits"])
    assert calls[1].version == "2.0"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--resume", r"no training of digits was stopped under releases/: train without --resume$"),
        (
            "--resume --model mine --version 3.0",
            r"no training of mine 3\.0 was stopped under releases/; there is one of ",
        ),
        ("--model mine --version 2.0", r"a training of mine 2\.0 was stopped: resume it \(--resume\)"),
        ("--epochs 0", r"recipe default: epochs: Input should be greater than or equal to 1 \(it is 0\)$"),
        ("--learning-rate -1", r"recipe default: optimizer\.learning_rate: .* \(it is -1\.0\)$"),
        ("--set optimizer.lr=1", r"recipe default: unknown key 'optimizer\.lr': there are name, learning_rate, "),
        ("--set epochs", r"--set 'epochs': write KEY=VALUE"),
        ("--recipe none", r"recipe 'none' cannot be read"),
        ("--version latest", r"version 'latest': use numbers"),
        ("--model ../x", r"model name '\.\./x'"),
        ("--device gpu", r"device 'gpu' cannot be used"),
        ("--data nowhere", r"data set 'nowhere' is neither "),
        ("--ood-data nowhere", r"data set 'nowhere' is neither "),
    ],
)
def test_impossible_flags_are_refused_in_one_sentence_before_training(
    calls: list[TrainingJob], flags: str, words: str
) -> None:
    stopped("mine", "2.0", load("default"))
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit, match=f"^error: {words}") as ended:
        cli.main(["train", *flags.split()])
    assert "\n" not in str(ended.value)
    assert calls == []
    assert sorted(Path().rglob("*")) == before


def test_to_go_on_and_to_begin_anew_exclude_each_other(calls: list[TrainingJob]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--resume", "--restart"])
    assert ended.value.code == 2
    stopped("digits", "1.0", load("default"))
    cli.main(["train", "--restart"])
    assert (calls[0].version, calls[0].restart) == ("1.0", True)


def test_data_warnings_are_printed_up_to_a_limit(
    calls: list[TrainingJob], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "pets", cat=40, dog=40)
    for number in range(25):
        (tmp_path / "pets" / "cat" / f"broken{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (tmp_path / "pets" / "cat" / f"notes.{number}th").write_bytes(b"\x01 no image")
    cli.main(["train", "--data", "pets"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "left out: 50 in all, beside 80 images that are used"
    assert "25 in pets/cat (broken0.png, broken1.png, broken2.png, broken3.png, broken4.png and 20 more): " in lines[1]
    assert len([line for line in lines if line.startswith("left out: ")]) == 20
    assert "and 7 more warnings like these, which the report will have" in lines
    assert lines[-1] == "training pets 1.0: cnn on pets, 48 / 16 / 16 images (train / calibration / test), 15 epochs"
    assert len(calls[0].data_warnings) == 27


@pytest.mark.parametrize("error", [Interrupted(2, 3, 4), KeyboardInterrupt()], ids=["asked", "at once"])
def test_interrupted_training_says_how_to_resume(
    calls: list[TrainingJob], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        stopped("digits", "1.0", load("default"))
        raise error

    monkeypatch.setattr(command, "train", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == (
        f"{str(error) or 'stopped'}. Resume with: torchlight train --model digits --version 1.0 --resume\n"
    )


def test_training_interrupted_before_a_checkpoint_promises_no_resume(
    calls: list[TrainingJob], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train"])
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped.\n")
