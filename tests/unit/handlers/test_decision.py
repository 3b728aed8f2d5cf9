from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from handlers import decision
from handlers.decision import Uncertainty
from handlers.engines import Outputs
from handlers.uncertainty import UncertaintyError, UncertaintyEstimator
from models.card import Conformal, OutOfDistribution, Policy, UncertaintyCard
from tests.support.scales import UNSCALED

CLASSES = ("cat", "dog", "fish")
NO_EMBEDDINGS = torch.zeros(1, 1)


def test_classes_are_ranked_by_softmax_probability() -> None:
    ranking = decision.rank(torch.tensor([[0.0, math.log(3), math.log(4)], [math.log(2), 0.0, 0.0]]))
    assert ranking.indices == [[2, 1, 0], [0, 1, 2]]
    assert ranking.probabilities[0] == pytest.approx([0.5, 0.375, 0.125])
    assert ranking.probabilities[1] == pytest.approx([0.5, 0.25, 0.25])


def test_a_temperature_changes_probabilities_and_no_order() -> None:
    ranking = decision.rank(torch.tensor([[0.0, 2 * math.log(3), 2 * math.log(4)]]), temperature=2.0)
    assert ranking.indices == [[2, 1, 0]]
    assert ranking.probabilities[0] == pytest.approx([0.5, 0.375, 0.125])


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


def judged(
    threshold: float = 0.6, ood_threshold: float = 0.0, max_set_size: int | None = 1, **policy: Any
) -> Uncertainty:
    """Fish 0.5, dog 0.375, cat 0.125, with an energy of -log 8 = -2.079."""
    uncertainty = UncertaintyCard(
        conformal=Conformal(method="aps", coverage=0.9, thresholds=(threshold,)),
        ood=OutOfDistribution(score="energy", scale=UNSCALED, threshold=ood_threshold, false_positive_rate=0.05),
        policy=Policy(max_set_size=max_set_size, **policy),
    )
    outputs = Outputs(torch.tensor([[0.0, math.log(3), math.log(4)]]), NO_EMBEDDINGS)
    (found,) = decision.uncertainties(
        decision.rank(outputs.logits), outputs, UncertaintyEstimator(uncertainty), CLASSES
    )
    return found


@pytest.mark.parametrize(
    ("threshold", "labels"),
    [
        (0.0, ["fish"]),
        (0.499999, ["fish"]),
        (0.5, ["fish", "dog"]),
        (0.874999, ["fish", "dog"]),
        (0.875, ["fish", "dog", "cat"]),
    ],
)
def test_the_set_has_classes_as_long_as_those_before_are_no_more_than_the_threshold(
    threshold: float, labels: list[str]
) -> None:
    assert judged(threshold).set == labels


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"ood_threshold": -3.0}, "out_of_distribution"),
        ({"ood_threshold": -2.0794}, "ambiguous"),  # equal to the threshold is not above it
        ({"ood_threshold": -3.0, "out_of_distribution": False}, "ambiguous"),
        ({"max_set_size": 2, "min_probability": 0.500001}, "unsure"),
        ({"max_set_size": None, "min_probability": 0.500001}, "unsure"),
        ({"min_probability": 1.0}, "ambiguous"),
        ({"ood_threshold": -3.0, "min_probability": 1.0}, "out_of_distribution"),
    ],
)
def test_an_answer_is_referred_for_the_first_reason_that_applies(policy: dict[str, Any], reason: str) -> None:
    found = judged(**policy)
    assert (found.decision, found.reason) == ("refer", reason)


@pytest.mark.parametrize(
    "policy",
    [
        {"max_set_size": 2},
        {"max_set_size": None, "min_probability": 0.5},
        {"threshold": 0.0, "ood_threshold": -2.0794},
        {"max_set_size": 2, "ood_threshold": -3.0, "out_of_distribution": False},
    ],
)
def test_an_answer_with_no_reason_against_it_is_accepted(policy: dict[str, Any]) -> None:
    found = judged(**policy)
    assert (found.decision, found.reason) == ("accept", None)


def test_the_members_are_those_of_the_contract() -> None:
    assert judged(max_set_size=2).members() == {
        "set": ["fish", "dog"],
        "ood": {"score": -2.0794, "threshold": 0.0, "method": "energy"},
        "decision": "accept",
        "reason": None,
        "reason_detail": None,
    }


def test_referral_for_a_foreign_image_says_what_is_foreign() -> None:
    found = judged(ood_threshold=-3.0)
    assert (found.reason, found.reason_detail) == ("out_of_distribution", "content")
    assert judged(ood_threshold=-3.0, out_of_distribution=False).reason_detail is None, "it is referred for its set"


def card_without_sets(**policy: Any) -> UncertaintyCard:
    return UncertaintyCard(
        conformal=None,
        no_sets_reason="too few calibration images",
        ood=OutOfDistribution(score="energy", scale=UNSCALED, threshold=0.0, false_positive_rate=0.05),
        policy=Policy(**policy),
    )


def test_model_without_sets_answers_null() -> None:
    outputs = Outputs(torch.tensor([[0.0, math.log(3), math.log(4)]]), NO_EMBEDDINGS)
    estimator = UncertaintyEstimator(card_without_sets(min_probability=0.6))
    (found,) = decision.uncertainties(decision.rank(outputs.logits), outputs, estimator, CLASSES)
    assert (found.set, found.reason) == (None, "unsure")
    assert found.members()["set"] is None


def test_policy_cannot_refer_by_sets_that_there_are_not() -> None:
    with pytest.raises(ValidationError, match="max_set_size is 1, but the model gives no prediction sets"):
        card_without_sets(max_set_size=1)
    with pytest.raises(
        UncertaintyError, match=r"policy does not fit the model: policy\.max_set_size is 1, but .* null"
    ):
        UncertaintyEstimator(card_without_sets()).under(Policy(max_set_size=1))


def test_class_conditional_sets_may_leave_out_a_more_probable_class() -> None:
    """Fish 0.5, dog 0.375, cat 0.125; the thresholds of the classes decide, not the order."""
    card = card_without_sets().model_copy(
        update={"conformal": Conformal(method="lac", coverage=0.9, thresholds=(0.9, 0.1, 0.1)), "no_sets_reason": None}
    )
    outputs = Outputs(torch.tensor([[0.0, math.log(3), math.log(4)]]), NO_EMBEDDINGS)
    (found,) = decision.uncertainties(decision.rank(outputs.logits), outputs, UncertaintyEstimator(card), CLASSES)
    assert found.set == ["fish", "cat"]
