"""The gate: each limit from both sides."""

from __future__ import annotations

import pytest
import torch

from handlers.engines import Outputs
from handlers.uncertainty import UncertaintyEstimator
from models.card import Card, Compiled, Conformal, EngineQuality, OutOfDistribution, Scale, UncertaintyCard
from training.compile import gate
from training.evaluate import Evaluation

KEPT = EngineQuality(
    images=1000,
    accuracy=0.9,
    accuracy_float32=0.9,
    agreement=1.0,
    calibration_error=0.02,
    calibration_error_float32=0.02,
    coverage=0.95,
    coverage_float32=0.95,
    milliseconds=1.0,
    milliseconds_float32=2.0,
)
ENTRY = Compiled(name="cpu-int8", torch="2.13.0", requires=("avx2",), compiled_on="a processor")
ENERGY = OutOfDistribution(
    score="energy", scale=Scale(median=0, upper=1, logarithmic=False), threshold=0.0, false_positive_rate=0.05
)
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("within", "beyond", "said"),
    [
        ({"accuracy": 0.895}, {"accuracy": 0.894}, "accuracy is 0.60 points below float32's, and 0.5 are allowed"),
        ({"agreement": 0.99}, {"agreement": 0.9899}, "agrees with float32 on 98.99% of the images, and 99% are needed"),
        (
            {"calibration_error": 0.03},
            {"calibration_error": 0.0301},
            "calibration error is 0.0101 above float32's, and 0.01 is allowed",
        ),
        (
            {"coverage": 0.94},
            {"coverage": 0.939},
            "sets hold the right class 1.10 points less often than float32's, and 1 is allowed",
        ),
        ({"milliseconds": 1.99}, {"milliseconds": 2.0}, "no faster: 2 ms an image against 2 of the eager network"),
    ],
)
def test_each_limit_lets_in_what_reaches_it_and_nothing_beyond(
    within: dict[str, float], beyond: dict[str, float], said: str
) -> None:
    assert gate.rejection(KEPT.model_copy(update=within)) is None
    assert said in str(gate.rejection(KEPT.model_copy(update=beyond)))


def test_engine_better_than_float32_passes_the_gate() -> None:
    better = {"accuracy": 0.99, "calibration_error": 0.0, "coverage": 1.0}
    assert gate.rejection(KEPT.model_copy(update=better)) is None


def test_without_trust_there_are_no_sets_to_judge_by() -> None:
    assert gate.rejection(KEPT.model_copy(update={"coverage": None, "coverage_float32": None})) is None


def answers(card: Card, classes: list[int], *, sure: float = 5.0) -> Evaluation:
    """Return the evaluation of an engine with these predictions."""
    logits = torch.eye(3)[classes] * sure
    estimator = UncertaintyEstimator(card.uncertainty) if card.uncertainty else None
    return Evaluation.of(card, estimator, Outputs(logits, torch.zeros(len(classes), 2)), LABELS)


def test_the_figures_are_of_both_engines_on_the_same_images(card: Card) -> None:
    uncertainty = UncertaintyCard(
        conformal=Conformal(method="aps", coverage=0.9, thresholds=(0.0,)),
        ood=ENERGY,
    )
    own = card.model_copy(update={"uncertainty": uncertainty})
    one_wrong, two_wrong = [1, *LABELS[1:]], [1, 0, *LABELS[2:]]
    found = gate.evaluated(ENTRY, answers(own, one_wrong), answers(own, two_wrong), 1.23456, 2.0)
    assert found.quality is not None
    assert (found.quality.images, found.quality.accuracy, found.quality.accuracy_float32) == (10, 0.8, 0.9)
    assert found.quality.agreement == 0.9
    assert (found.quality.coverage, found.quality.coverage_float32) == (0.8, 0.9)
    assert found.quality.calibration_error == pytest.approx(0.9867 - 0.8, abs=1e-3)
    assert (found.quality.milliseconds, found.quality.milliseconds_float32) == (1.235, 2.0)
    assert found.rejection == "its accuracy is 10.00 points below float32's, and 0.5 are allowed"


def test_probabilities_are_judged_with_the_cards_temperature(card: Card) -> None:
    uncertainty = UncertaintyCard(
        temperature=2.0,
        conformal=Conformal(method="aps", coverage=0.9, thresholds=(0.0,)),
        ood=ENERGY,
    )
    own = card.model_copy(update={"uncertainty": uncertainty})
    found = gate.measure_quality(answers(own, LABELS), answers(own, LABELS, sure=4.0), 1.0, 2.0)
    e = 2.718281828
    assert found.calibration_error == pytest.approx(1 - e**2 / (e**2 + 2), abs=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_single_nan_fails_the_gate(card: Card, value: float) -> None:
    whole = answers(card, LABELS)
    broken = answers(card, LABELS)
    broken.logits[3, 1] = value
    found = gate.evaluated(ENTRY, whole, broken, 1.0, 2.0)
    assert found.rejection == gate.NOT_FINITE
    assert found.quality is None
    assert gate.evaluated(ENTRY, whole, whole, 1.0, 2.0).rejection is None
