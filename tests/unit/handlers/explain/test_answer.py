from __future__ import annotations

import pytest

from handlers.errors import BadOption
from handlers.explain import DEFAULT_METHOD, METHODS
from handlers.explain.answer import Target, check_method, choose_target
from models.card import Card


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        (None, Target(1, "predicted")),
        ("dog", Target(1, "asked")),
        ("0", Target(0, "asked")),
        ("2", Target(2, "asked")),
        ("7", Target(2, "asked")),  # a label that looks like an index
    ],
)
def test_a_target_is_a_label_or_else_an_index(card: Card, asked: str | None, target: Target) -> None:
    assert card.classes == ("cat", "dog", "7")
    assert choose_target(asked, 1, card) == target


@pytest.mark.parametrize("asked", ["3", "-1", "Cat", "", "1.0", "²", "٢", "9" * 5000])
def test_a_class_that_is_not_there_is_answered_with_those_there_are(card: Card, asked: str) -> None:
    with pytest.raises(BadOption, match="does not exist: the labels are cat, dog, 7, the indices 0 to 2") as raised:
        choose_target(asked, 1, card)
    assert len(str(raised.value)) < 150


def test_a_thousand_labels_are_not_all_listed(card: Card) -> None:
    many = card.model_copy(update={"classes": tuple(f"class {index}" for index in range(1000))})
    with pytest.raises(BadOption, match=r"class 19, \.\.\., the indices 0 to 999"):
        choose_target("nobody", 0, many)


def test_the_default_method_is_there() -> None:
    check_method(DEFAULT_METHOD)
    assert DEFAULT_METHOD in METHODS


def test_an_unknown_method_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadOption, match="method 'IG' does not exist: there is ig"):
        check_method("IG")
