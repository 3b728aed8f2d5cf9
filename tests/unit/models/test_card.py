from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from models.card import Card, CardError, Limits

UNCERTAINTY = {
    "conformal": {"method": "aps", "coverage": 0.9, "thresholds": [0.5]},
    "ood": {
        "score": "energy",
        "scale": {"median": 0.0, "upper": 1.0, "logarithmic": False},
        "threshold": -2.0,
        "false_positive_rate": 0.05,
    },
}


def changed(card: Card, folder: Path, **update: Any) -> Path:
    """A folder with this card, some of whose keys are others."""
    content = card.model_dump(mode="json") | update
    (folder / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def test_a_saved_card_reads_back_as_it_was(card: Card, tmp_path: Path) -> None:
    card.save(tmp_path)
    assert Card.load(tmp_path) == card


@pytest.mark.parametrize("classes", [("yes", "no"), ("1", "01"), ("null", "~"), ("Küken", "猫"), ("a: b", "#c")])
def test_class_names_that_yaml_would_take_for_something_else_stay_text(
    card: Card, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    card.model_copy(update={"classes": classes}).save(tmp_path)
    assert Card.load(tmp_path).classes == classes


def test_a_card_can_be_read_by_people(card: Card, tmp_path: Path) -> None:
    card.save(tmp_path)
    lines = (tmp_path / "card.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["schema_version: 2", "name: pets", "version: '1.0'"]


def test_a_card_cannot_be_changed_in_memory(card: Card) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        card.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"licens": "MIT"}, ["licens", "not permitted"]),
        ({"version": "v1"}, ["version", "'v1'"]),
        ({"version": "1.0.0.0"}, ["version", "'1.0.0.0'"]),
        ({"version": "1.0\n"}, ["version", r"'1.0\n'"]),
        ({"version": 1.0}, ["version", "1.0"]),
        ({"name": "my model"}, ["name", "'my model'"]),
        ({"name": "../etc"}, ["name", "'../etc'"]),
        ({"name": "x" * 65}, ["name", "xxx"]),
        ({"classes": ["cat", "dog", "cat"]}, ["classes", "'cat'"]),
        ({"classes": ["cat"]}, ["classes", "'cat'"]),
        ({"schema_version": 1}, ["schema_version is 1", "an older Torchlight", "train it again"]),
        ({"schema_version": 3}, ["schema_version", "3"]),
        ({"limits": {"max_byte": 5}}, ["limits.max_byte", "not permitted"]),
        ({"limits": {"max_images": 0}}, ["limits.max_images", "0"]),
        ({"limits": {"max_pixels": "many"}}, ["limits.max_pixels", "'many'"]),
        ({"limits": {"max_answer_bytes": 60_000_001}}, ["limits.max_answer_bytes", "60000001"]),
        ({"uncertainty": UNCERTAINTY | {"temperature": 0}}, ["uncertainty.temperature", "0"]),
        ({"uncertainty": UNCERTAINTY | {"temperature": float("inf")}}, ["uncertainty.temperature", "inf"]),
        (
            {"uncertainty": UNCERTAINTY | {"policy": {"max_set_sise": 1}}},
            ["uncertainty.policy.max_set_sise", "not permitted"],
        ),
        ({"uncertainty": UNCERTAINTY | {"policy": {"max_set_size": 0}}}, ["uncertainty.policy.max_set_size", "0"]),
        (
            {"uncertainty": UNCERTAINTY | {"ood": UNCERTAINTY["ood"] | {"threshold": float("nan")}}},
            ["uncertainty.ood.threshold", "nan"],
        ),
        (
            {"uncertainty": UNCERTAINTY | {"ood": UNCERTAINTY["ood"] | {"score": "magic"}}},
            ["uncertainty.ood.score", "'magic'"],
        ),
        ({"uncertainty": {"ood": UNCERTAINTY["ood"]}}, ["uncertainty.conformal", "Field required"]),
        ({"digests": {"weights.safetensors": "abc"}}, ["digests.weights.safetensors", "'abc'"]),
        ({"input": {"size": 8, "mean": [0, 0, 0], "std": [1, 0, 1]}}, ["input.std.1", "0"]),
        ({"input": {"size": 8, "mean": [0, 0], "std": [1, 1, 1]}}, ["input.mean"]),
        (
            {"metrics": {"accuracy": 97, "loss": 0, "test_images": 1, "train_cpu_seconds": 0}},
            ["metrics.accuracy", "97"],
        ),
    ],
)
def test_an_error_names_the_file_the_key_and_the_value(
    card: Card, tmp_path: Path, update: dict[str, Any], words: list[str]
) -> None:
    folder = changed(card, tmp_path, **update)
    with pytest.raises(CardError) as raised:
        Card.load(folder)
    assert str(raised.value).startswith(f"{tmp_path / 'card.yaml'}: ")
    assert [word for word in words if word not in str(raised.value)] == []


def test_all_wrong_keys_are_named_at_once(card: Card, tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"name: .*'a b'.*; version: .*'x'"):
        Card.load(changed(card, tmp_path, name="a b", version="x"))


def test_a_card_that_names_no_limits_has_those_of_the_contract(card: Card, tmp_path: Path) -> None:
    content = card.model_dump(mode="json")
    del content["limits"]
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert Card.load(tmp_path).limits == Limits(
        max_bytes=6_000_000,
        max_pixels=25_000_000,
        max_images=64,
        max_request_pixels=100_000_000,
        max_answer_bytes=16_000_000,
    )


def test_a_card_may_change_some_limits_and_keep_the_others(card: Card, tmp_path: Path) -> None:
    assert Card.load(changed(card, tmp_path, limits={"max_images": 4})).limits == Limits(max_images=4)


def test_trust_is_optional_and_reads_back_as_it_was(card: Card, tmp_path: Path) -> None:
    assert card.uncertainty is None
    loaded = Card.load(changed(card, tmp_path, uncertainty=UNCERTAINTY | {"policy": {"max_set_size": None}}))
    assert loaded.uncertainty is not None
    assert (loaded.uncertainty.temperature, loaded.uncertainty.policy.max_set_size) == (1.0, None)
    loaded.save(tmp_path)
    assert Card.load(tmp_path) == loaded


def test_a_missing_key_is_named(card: Card, tmp_path: Path) -> None:
    folder = changed(card, tmp_path)
    content = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    del content["classes"]
    (folder / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(CardError, match="classes: Field required"):
        Card.load(folder)


def test_a_folder_without_a_card_says_so(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"card\.yaml: no such file"):
        Card.load(tmp_path)


@pytest.mark.parametrize("content", [b"a: [1,\nb: 2", b"\xff\xfe\x00", b"a: !!python/object/new:os.system [ls]"])
def test_yaml_with_tags_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "card.yaml").write_bytes(content)
    with pytest.raises(CardError, match="not YAML"):
        Card.load(tmp_path)


@pytest.mark.parametrize("content", ["", "- a list", "text"])
def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "card.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(CardError, match="the whole: "):
        Card.load(tmp_path)
