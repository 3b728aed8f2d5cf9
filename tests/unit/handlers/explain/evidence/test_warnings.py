"""Each warning is given when it is due, and not otherwise."""

from __future__ import annotations

import pytest
import torch

from handlers.decision import PredictionContext, Uncertainty
from handlers.explain.evidence import warnings
from handlers.explain.evidence.faithfulness import Faithfulness


def context(best: float = 0.9, score: float = 1.0) -> PredictionContext:
    row = torch.tensor([1 - best, best], dtype=torch.float64)
    uncertainty = Uncertainty(["dog"], score, 2.0, "energy", None)
    return PredictionContext(1, row, row, torch.zeros(3), uncertainty)


def faithful(random: float, center: float) -> Faithfulness:
    return Faithfulness(deletion=0.1, insertion=0.5, versus_random=random, versus_center=center)


@pytest.mark.parametrize(
    ("arguments", "kind", "word"),
    [
        ({"context": context(score=2.1)}, "out_of_distribution", "energy 2.1, above 2"),
        ({"context": context(best=0.49)}, "low_confidence", "0.49 only"),
        ({"explained_class": 0}, "engines_disagree", "different classes"),
        ({"completeness": {"delta": -0.5, "ok": False}}, "incomplete", "by 0.5: more steps may help"),
        ({"faithfulness": faithful(-0.1, 0.2)}, "worse_than_trivial", "than a random map"),
        ({"faithfulness": faithful(0.2, -0.1)}, "worse_than_trivial", "a map of the center"),
    ],
)
def test_each_problem_has_its_warning(arguments: dict[str, object], kind: str, word: str) -> None:
    sound = {
        "context": context(),
        "explained_class": 1,
        "completeness": {"delta": 0.0, "ok": True},
        "faithfulness": None,
    }
    (warning,) = warnings.of(**{**sound, **arguments})  # type: ignore[arg-type]
    assert warning["type"] == kind
    assert word in warning["message"]
    assert kind in warnings.KINDS


def test_sound_explanation_has_no_warnings() -> None:
    assert warnings.of(context(), 1, None, None) == []
    assert warnings.of(context(score=2.0), 1, {"delta": 0.01, "ok": True}, faithful(0.4, -0.02)) == []
