from __future__ import annotations

import math

import pytest
import torch

from handlers import decision

CLASSES = ("cat", "dog", "fish")


def test_classes_are_ranked_by_softmax_probability() -> None:
    ranking = decision.rank(torch.tensor([[0.0, math.log(3), math.log(4)], [math.log(2), 0.0, 0.0]]))
    assert ranking.indices == [[2, 1, 0], [0, 1, 2]]
    assert ranking.probabilities[0] == pytest.approx([0.5, 0.375, 0.125])
    assert ranking.probabilities[1] == pytest.approx([0.5, 0.25, 0.25])


def test_predictions_name_label_index_and_probability() -> None:
    ranking = decision.rank(torch.tensor([[0.0, math.log(3), math.log(4)]]))
    assert decision.predictions(ranking, 0, CLASSES, top_k=2) == [
        {"label": "fish", "index": 2, "probability": 0.5},
        {"label": "dog", "index": 1, "probability": 0.375},
    ]


def test_more_classes_than_there_are_cannot_be_listed() -> None:
    ranking = decision.rank(torch.zeros(1, 3))
    assert [entry["label"] for entry in decision.predictions(ranking, 0, CLASSES, top_k=99)] == ["cat", "dog", "fish"]


def test_probabilities_are_rounded_to_six_digits() -> None:
    ranking = decision.rank(torch.tensor([[0.1, 0.2, 0.3]]))
    assert [entry["probability"] for entry in decision.predictions(ranking, 0, CLASSES, top_k=3)] == [
        0.367165,
        0.332225,
        0.30061,
    ]


def test_a_huge_logit_is_certain_and_not_nan() -> None:
    assert decision.rank(torch.tensor([[1e4, 0.0, -1e4]])).probabilities == [[1.0, 0.0, 0.0]]
