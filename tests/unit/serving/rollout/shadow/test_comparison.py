from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.rollout.shadow.answers import ImageAnswer
from serving.rollout.shadow.comparison import first_difference, image_pairs

ANSWER = ImageAnswer({"three": 0.75, "eight": 0.25}, ("three", "eight"), 1.5, "accept")


def test_both_answers_are_compared_by_label_decision_set_and_probability() -> None:
    other = ImageAnswer({"eight": 0.5, "three": 0.25}, ("eight",), 1.5, "refer")
    (pair,) = image_pairs([ANSWER], [other])
    assert pair.labels == ("three", "eight")
    assert pair.confidences == (0.75, 0.5)
    assert pair.change == 0.5
    assert pair.decisions == ("accept", "refer")
    assert not pair.same_set


def test_the_order_of_a_set_is_no_difference() -> None:
    (pair,) = image_pairs([ANSWER], [replace(ANSWER, set=("eight", "three"))])
    assert pair.same_set


def test_a_label_that_is_not_listed_has_no_change() -> None:
    (pair,) = image_pairs([ANSWER], [ImageAnswer({"one": 0.9})])
    assert pair.change is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"probabilities": {"three": 0.750002, "eight": 0.249999}},
        {"ood_score": 1.5001},
    ],
)
def test_the_rounding_of_float32_sums_is_no_difference(changes: dict[str, Any]) -> None:
    assert first_difference([ANSWER], [replace(ANSWER, **changes)]) is None


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"probabilities": {"three": 0.750003, "eight": 0.25}}, "probability of three: 0.75 and 0.750003"),
        ({"probabilities": {"eight": 0.75, "three": 0.25}}, "labels"),
        ({"probabilities": {"three": None, "eight": 0.25}}, "probability of three"),
        ({"ood_score": 1.51}, "OOD score"),
        ({"ood_score": None}, "OOD score"),
        ({"set": ("three",)}, "set"),
        ({"decision": "refer"}, "decision: accept and refer"),
        ({"reason": "unsure"}, "reason"),
        ({"reason_detail": "content"}, "reason_detail"),
    ],
)
def test_any_other_change_is_a_difference(changes: dict[str, Any], difference: str) -> None:
    answer = first_difference([ANSWER, ANSWER], [ANSWER, replace(ANSWER, **changes)])
    assert answer is not None
    assert answer.startswith(difference)


def test_in_an_engine_of_fewer_bits_what_follows_from_a_threshold_is_no_difference() -> None:
    other = ImageAnswer({"three": 0.747, "eight": 0.253}, ("three",), 1.6, "refer", "unsure")
    assert first_difference([ANSWER], [other], coarse=True) is None
    other = ImageAnswer({"three": 0.74, "eight": 0.26}, ("three",), 1.6, "refer", "unsure")
    assert first_difference([ANSWER], [other], coarse=True) is not None
