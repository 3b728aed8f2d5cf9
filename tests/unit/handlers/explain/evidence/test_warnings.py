"""Each warning is given when it is due, and not otherwise."""

from __future__ import annotations

import pytest
import torch

from handlers.decision import PredictionContext, Uncertainty
from handlers.explain.evidence import warnings
from handlers.explain.evidence.faithfulness import Faithfulness
from handlers.explain.methods.attribution import Attribution


def context(best: float = 0.9, score: float = 1.0) -> PredictionContext:
    row = torch.tensor([1 - best, best], dtype=torch.float64)
    uncertainty = Uncertainty(["dog"], score, 2.0, "energy", None)
    return PredictionContext(1, row, row, torch.zeros(3), uncertainty)


def faithful(random: float, center: float) -> Faithfulness:
    return Faithfulness("blur", 0.05, deletion=0.1, insertion=0.5, versus_random=random, versus_center=center)


def attributions(total: float = 4.0, explained_class: int = 1, score: float = 4.0) -> Attribution:
    """One image whose score is `score` above that of its baseline, with a map that sums to `total`."""
    values = torch.full((1, 1, 2, 2), total / 4)
    logits = torch.eye(2)[explained_class][None]
    return Attribution(values, torch.tensor([score]), torch.zeros(1), logits, complete=True)


@pytest.mark.parametrize(
    ("arguments", "kind", "word"),
    [
        ({"context": context(score=2.1)}, "out_of_distribution", "energy 2.1, above 2"),
        ({"context": context(best=0.49)}, "low_confidence", "0.49 only"),
        ({"attributions": attributions(explained_class=0)}, "engines_disagree", "different classes"),
        ({"attributions": attributions(total=3.5)}, "incomplete", "by 0.5: more steps may help"),
        (
            {"attributions": attributions(total=2e-8, score=0.003)},
            "no_evidence",
            "sum to less than 1 % of the score (0.003), or of 1",
        ),
        ({"faithfulness": faithful(-0.1, 0.2)}, "worse_than_trivial", "than a random map"),
        ({"faithfulness": faithful(0.2, -0.1)}, "worse_than_trivial", "a map of the center"),
    ],
)
def test_each_problem_has_its_warning(arguments: dict[str, object], kind: str, word: str) -> None:
    sound = {
        "context": context(),
        "attributions": attributions(),
        "row": 0,
        "faithfulness": None,
    }
    (warning,) = warnings.of(**{**sound, **arguments})  # type: ignore[arg-type]
    assert warning["type"] == kind
    assert word in warning["message"]
    assert kind in warnings.KINDS


def test_sound_explanation_has_no_warnings() -> None:
    assert warnings.of(context(), attributions(), 0, None) == []
    assert warnings.of(context(score=2.0), attributions(total=4.01), 0, faithful(0.4, -0.02)) == []
