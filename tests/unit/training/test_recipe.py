"""A recipe is checked before anything is done, and what is kept of it can be read again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from training import recipe
from training.recipe import Recipe, RecipeError, assignment, load


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_articles_recipe_and_the_tuned_one_are_there() -> None:
    assert {"article", "tuned", "default"} <= set(recipe.names())
    assert load("article").optimizer.learning_rate == 0.001
    assert (load("article").batch_size, load("article").epochs) == (4, 10)
    assert load("tuned").schedule.name == "one_cycle"


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_of_ours_says_what_it_is_for_and_survives_being_written(name: str, tmp_path: Path) -> None:
    found = load(name)
    assert found.description
    assert load(written(tmp_path, found.to_yaml())) == found


def test_every_value_survives_being_written(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "data": "bilder/größe",
        "architecture": {"name": "resnet9", "arguments": {"width": 16}},
        "weights": "weights.safetensors",
        "loss": {"name": "focal", "gamma": 1.5, "label_smoothing": 0.1, "class_weights": "balanced"},
        "optimizer": {"name": "adamw", "learning_rate": 1e-5, "betas": [0.8, 0.99], "l1": 1e-6, "clip": 1.0},
        "schedule": {"name": "cosine", "warmup": 0.1, "last": 0.01},
        "augmentation": {"crop": 2, "flip": True, "color": 0.2, "cutout": 6, "mixup": 0.4},
        "precision": "bfloat16",
        "ema": 0.99,
        "progressive": {"size": 16, "epochs": 2},
        "early_stopping": {"patience": 3},
        "uncertainty": {"conformal": "aps", "coverage": 0.8, "ood": "energy", "policy": {"max_set_size": None}},
    }
    found = load("default", changes)
    assert load(written(tmp_path, found.to_yaml())) == found
    assert found.uncertainty.policy.max_set_size is None


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Recipe()


def test_a_penalty_that_aps_would_not_heed_is_an_error() -> None:
    with pytest.raises(RecipeError, match="penalty and free are of raps, and conformal is aps"):
        load("default", {"uncertainty": {"conformal": "aps", "penalty": 0.2}})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("epoch", r"recipe default: unknown key 'epoch': did you mean epochs\?"),
        ("optimizer.learningrate", r"unknown key 'optimizer\.learningrate': did you mean learning_rate\?"),
        ("augmentation.mixupp", r"unknown key 'augmentation\.mixupp': did you mean mixup\?"),
        ("early_stopping.patiance", r"unknown key 'early_stopping\.patiance': did you mean patience\?"),
        ("uncertainty.policy.max_size", r"unknown key 'uncertainty\.policy\.max_size': did you mean max_set_size\?"),
        ("schedule.xyzzy", r"unknown key 'schedule\.xyzzy': there are name, warmup, last"),
    ],
)
def test_an_unknown_key_is_named_with_what_may_have_been_meant(key: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load("default", {"early_stopping.patience": 1, key: 1})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("epochs", 0, r"epochs: Input should be greater than or equal to 1 \(it is 0\)"),
        ("batch_size", -4, r"batch_size: .* \(it is -4\)"),
        ("optimizer.learning_rate", 0, r"optimizer\.learning_rate: Input should be greater than 0"),
        ("optimizer.learning_rate", float("nan"), r"optimizer\.learning_rate: Input should be"),
        ("optimizer.learning_rate", "fast", r"optimizer\.learning_rate: .*valid number.* \(it is 'fast'\)"),
        ("optimizer.momentum", 1.0, r"optimizer\.momentum: Input should be less than 1"),
        ("optimizer.name", "lion", r"optimizer\.name: Input should be 'sgd', 'adam' or 'adamw' \(it is 'lion'\)"),
        ("optimizer", {"nesterov": True, "momentum": 0}, "nesterov needs momentum above 0"),
        ("loss.name", "hinge", r"loss\.name: Input should be 'cross_entropy', 'mean_squared_error' or 'focal'"),
        ("loss.label_smoothing", 1.0, r"loss\.label_smoothing: Input should be less than 1"),
        ("ema", 1.0, "ema: Input should be less than 1"),
        ("seed", -1, "seed: Input should be greater than or equal to 0"),
        ("input.crop", 0.5, "crop applies to `resize: crop` only"),
        ("augmentation.crop", 24, r"augmentation\.crop is 24: it must be below input\.size, 24"),
        ("augmentation.cutout", 30, r"augmentation\.cutout is 30: it must be below input\.size, 24"),
        ("early_stopping.patience", 0, r"early_stopping\.patience: Input should be greater than or equal to 1"),
        (
            "progressive",
            {"size": 24, "epochs": 1},
            r"progressive\.size is 24: it must be below input\.size, 24, or",
        ),
        ("architecture.name", "vit", r"recipe default: architecture: no architecture 'vit': there are cnn, resnet18"),
        ("loss", "focal", r"loss: Input should be a valid dictionary .* \(it is 'focal'\)"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load("default", {key: value})


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RecipeError, match=r"epochs: .*; batch_size: "):
        load("default", {"epochs": 0, "batch_size": 0})


def test_a_value_of_the_command_line_goes_before_that_of_the_file(tmp_path: Path) -> None:
    mine = written(tmp_path, "epochs: 3\noptimizer: {name: adam, learning_rate: 0.5}\n")
    found = load(mine, dict([assignment("optimizer.learning_rate=1e-3"), assignment("ema=0.9")]))
    assert (found.optimizer.name, found.optimizer.learning_rate, found.ema, found.epochs) == ("adam", 0.001, 0.9, 3)
    assert load(mine, dict([assignment("early_stopping.patience=2")])).early_stopping is not None
    assert load(mine, {"early_stopping.patience": 2, "early_stopping": None}).early_stopping is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=", None), ("a=true", True), ("a=[1, 2]", [1, 2]), ("a=x=y", "x=y"), ("a={b: 1}", {"b": 1})],
)
def test_assigned_values_are_read_as_yaml(text: str, value: Any) -> None:
    assert assignment(text) == ("a", value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("epochs", "--set 'epochs': write KEY=VALUE"), ("=3", "write KEY=VALUE"), ("a=[1", r"'\[1' is not a YAML value")],
)
def test_malformed_assignment_is_refused(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        assignment(text)


def test_a_recipe_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe 'fast' cannot be read \(No such file or directory\): .*article, "):
        load("fast")
    with pytest.raises(RecipeError, match="Is a directory"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs: [1", r"mine\.yaml: not YAML: "),
        ("- epochs", r"mine\.yaml: must hold `key: value` lines"),
        ("epochs", r"mine\.yaml: must hold `key: value` lines"),
        ("1: 2", r"mine\.yaml: 1: Keys should be strings"),
        ("epochs: 0", r"mine\.yaml: epochs: Input should be"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as found:
        load(written(tmp_path, text))
    assert "\n" not in str(found.value)


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(RecipeError, match=r"mine\.yaml: not YAML: "):
        load(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"uncertainty.coverage": "high"},
            "uncertainty.coverage: Input should be a valid number, unable to parse string as a number, or 'auto' "
            "(it is 'high')",
        ),
        (
            {"uncertainty.policy.min_probability": 2},
            "uncertainty.policy.min_probability: Input should be less than or equal to 1, or 'auto' (it is 2)",
        ),
    ],
)
def test_key_with_several_types_has_one_message(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        load("default", changes)
