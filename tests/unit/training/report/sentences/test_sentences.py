"""Each sentence of a report, from figures of both sides of its rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.card import Calibration, Conformal, Input
from tests.unit.training.report.models import EVIDENCE, RULE, evaluation, report_of
from training.metrics.expected import ExpectedRange
from training.metrics.figures import Figures
from training.metrics.interval import share
from training.metrics.ood_detection import OodDetection
from training.metrics.prediction_sets import PredictionSets, SetSize
from training.report.sentences import calibration, ood, prediction_sets, referral, training


def figures_of(*arguments: object, **more: object) -> Figures:
    return report_of(evaluation(*arguments, **more))[1]  # type: ignore[arg-type]


def evidence(**changes: object) -> str:
    fit = Calibration(**{**EVIDENCE.model_dump(), **changes})
    return calibration.evidence(RULE.model_copy(update={"temperature": 1.87, "calibration": fit}))


def test_evidence_of_the_temperature() -> None:
    assert evidence() == (
        "The temperature is 1.87. Proven: 40 mistakes among 360 calibration images, and the gain is at least its "
        "standard error. On calibration images that it was not fitted on, a temperature lowers the negative log-"
        "likelihood by 0.0200 nats, from 0.0900 to 0.0700 (standard error 0.0050)."
    )
    assert "Unproven: only 6 mistakes among 360 calibration images, and 10 are needed to tell" in evidence(
        mistakes=6, verdict="unproven"
    )
    assert "Unproven: no mistake among 360" in evidence(mistakes=0, verdict="unproven")
    assert "but the gain is below its standard error" in evidence(gain_error=0.03, verdict="unproven")
    assert "a temperature raises the negative log-likelihood by 0.0100 nats" in evidence(
        nll_cross_fitted=0.1, verdict="unproven"
    )
    assert "a temperature does not change the negative log-likelihood (" in evidence(
        nll_cross_fitted=0.09, verdict="unproven"
    )
    unchanged = RULE.model_copy(update={"temperature": 1.0, "calibration": EVIDENCE})
    assert calibration.evidence(unchanged).startswith(
        "The temperature is 1, so calibration changes nothing. Proven: 40"
    )
    assert "does not say on what evidence" in calibration.evidence(RULE.model_copy(update={"calibration": None}))


def test_calibration_error_is_beside_its_null() -> None:
    off = figures_of(list(range(100)), 400, sure=0.999).after
    assert "So chance does not explain the error: the probabilities are off." in calibration.check(off, 400)
    fair = figures_of(list(range(20)), 400, sure=0.95).after
    text = calibration.check(fair, 400)
    assert "it neither shows nor excludes that the probabilities are off" in text
    assert f"at most {fair.ece_calibrated_high:.4f} in 95 of 100 test sets" in text


def test_worse_after_calibration_is_said() -> None:
    timid = RULE.model_copy(update={"temperature": 3.0})
    text = calibration.worse(figures_of(list(range(20)), 400, sure=0.95, rule=timid))
    assert text is not None
    assert text.startswith("Worse after calibration than before on the test images: the calibration error is 0.2")
    assert "more than chance explains" in text
    slightly = RULE.model_copy(update={"temperature": 1.05})
    text = calibration.worse(figures_of(list(range(20)), 400, sure=0.95, rule=slightly))
    assert text is not None
    assert "before (their 95 % intervals overlap)" in text
    sure = RULE.model_copy(update={"temperature": 2.0})
    assert calibration.worse(figures_of(list(range(100)), 400, sure=0.999, rule=sure)) is None
    assert calibration.worse(figures_of(list(range(20)), 400, rule=None)) is None


SETS = PredictionSets(
    method="lac",
    target=0.95,
    target_low=0.92,
    target_high=0.97,
    expected=ExpectedRange(0.91, 0.98),
    coverage=share(94, 100),
    mean_size=1.2,
    class_conditional=False,
    classes=(share(47, 50), share(47, 50), None),
    sizes=(SetSize(1, 80, share(75, 80)), SetSize(2, 20, share(19, 20))),
)


def test_coverage_is_beside_its_target_and_range() -> None:
    text = prediction_sets.coverage(SETS, "auto")
    assert text == (
        "Coverage on the test images: 94.0 % (94 of 100; 87.5 to 97.2 %). The target is 95 %, chosen from the "
        "calibration split. With so many calibration images, 95 of 100 models have a coverage of 92.0 to 97.0 %. "
        "On 100 test images, 91.0 to 98.0 % is expected. So the measured coverage is as expected."
    )
    assert "The target is 95 %, set in the recipe." in prediction_sets.coverage(SETS, 0.95)
    assert "The target is 95 %. With" in prediction_sets.coverage(SETS, None)
    assert "is below it: these images" in prediction_sets.coverage(replace(SETS, coverage=share(80, 100)), None)
    assert "is above it. The most" in prediction_sets.coverage(replace(SETS, coverage=share(100, 100)), None)
    assert "is expected" not in prediction_sets.coverage(replace(SETS, expected=None), None)


def test_sets_that_say_nothing_are_said_to() -> None:
    assert prediction_sets.information(SETS) is None
    ones, twos, all_classes = (replace(SETS, sizes=(SetSize(size, 100, share(94, 100)),)) for size in (1, 2, 3))
    assert "say nothing beyond the prediction" in str(prediction_sets.information(ones))
    assert prediction_sets.information(twos) is None
    assert "exclude nothing" in str(prediction_sets.information(all_classes))


def test_effect_of_referral() -> None:
    helps = figures_of(list(range(10)), 400, referred=(*range(9), *range(100, 111)))
    assert referral.effect(helps) == (
        "Referral helps: the policy refers 20 of 400 images (5.0 %) and catches 9 of 10 mistakes (90 %, 95 % "
        "interval 59.6 to 98.2 %). As many images chosen at random would hold 0.5 of them on average (p < "
        "0.0001). 99.7 % (379 of 380; 98.5 to 100.0 %) of the other images are right; of all images, 97.5 % (390 "
        "of 400; 95.5 to 98.6 %)."
    )
    assert referral.short(helps) == "97.5 % of all images are right"
    useless = figures_of(list(range(40)), 400, referred=tuple(range(380, 400)))
    assert referral.effect(useless) == (
        "Referral by this policy does not help: the policy refers 20 of 400 images (5.0 %) and catches 0 of 40 "
        "mistakes. As many images chosen at random would hold 2.0 of them on average, so chance explains this."
    )
    assert "so referral does not help" in referral.short(useless)
    perfect = figures_of([], 400, referred=(1, 2))
    assert referral.effect(perfect) == (
        "Whether referral helps cannot be shown: the policy refers 2 of 400 images (0.5 %), but there is no "
        "mistake among all 400."
    )
    assert "cannot be shown" in referral.short(perfect)
    one = figures_of([0], 100, referred=(1, 2, 3, 4, 5))
    assert "catches 0 of 1 mistake. These are too few mistakes" in referral.effect(one)
    nothing = figures_of([0], 100)
    assert referral.effect(nothing) == "The policy refers none of the 100 test images."
    assert referral.short(nothing) == "no test image is referred"


DETECTION = OodDetection(
    method="mahalanobis",
    pixel_statistics=True,
    choice={"energy": 0.4, "mahalanobis": 0.63},
    threshold=1.8,
    target=0.01,
    expected=ExpectedRange(0.0, 0.025),
    false_positive_rate=share(4, 400),
    ood_data=None,
    auroc=None,
    detected=None,
)


def test_false_alarms_are_beside_their_target() -> None:
    assert ood.false_alarms(DETECTION) == (
        "False alarms on the test images: 1.0 % (4 of 400; 0.4 to 2.5 %); the target is 1 %. On 400 images, 0.0 "
        "to 2.5 % is expected, so this is as expected."
    )
    assert "more false alarms than expected" in ood.false_alarms(replace(DETECTION, false_positive_rate=share(40, 400)))
    assert "too few calibration images" in ood.false_alarms(replace(DETECTION, expected=None))


def test_choice_of_the_score_has_its_reason() -> None:
    assert ood.chosen_score(DETECTION, "auto") == (
        "Score of the embedding: Mahalanobis distance. It detects most of the changed and foreign images that "
        "were made from the calibration split: Mahalanobis distance 63 %, energy 40 %. Statistics of the pixels "
        "(colors, brightness, sharpness) have a score too, and the larger one counts."
    )
    tied = replace(DETECTION, choice={"energy": 0.998, "mahalanobis": 1.0})
    assert "No score detects more of the changed" in ood.chosen_score(tied, "auto")
    named = replace(DETECTION, choice={}, pixel_statistics=False)
    assert (
        ood.chosen_score(named, "mahalanobis") == "Score of the embedding: Mahalanobis distance. The recipe names it."
    )
    assert ood.chosen_score(named, None) == "Score of the embedding: Mahalanobis distance."


SPEC = Input(size=32, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "the recipe's loss on the training images, not augmented, while"),
        ({"augmentation": {"crop": 2, "flip": True, "mixup": 0.0}}, "images changed at random (crop, flip), while"),
        ({"loss": {"label_smoothing": 0.1}}, "the recipe's loss, with smoothed labels on the training images"),
        ({"progressive": {"size": 16, "epochs": 2}}, "changed at random (smaller in the first epochs)"),
    ],
)
def test_curves_say_what_they_were_measured_on(recipe: dict[str, object], said: str) -> None:
    assert said in training.curves(recipe, SPEC)


def test_center_crop_trains_on_random_crops() -> None:
    assert "(crop)" in training.curves({}, SPEC.model_copy(update={"resize": "crop", "crop": 0.875}))


def test_card_without_sets_has_no_figures_of_them() -> None:
    rule = RULE.model_copy(
        update={
            "conformal": None,
            "no_sets_reason": "30 images are too few",
            "policy": RULE.policy.model_copy(update={"max_set_size": None}),
        }
    )
    assert figures_of([], 40, rule=rule).prediction_sets is None


def test_class_conditional_sets_have_no_expected_range() -> None:
    conformal = Conformal(method="lac", coverage=0.9, thresholds=(0.1, 0.2))
    sets = figures_of([], 40, rule=RULE.model_copy(update={"conformal": conformal})).prediction_sets
    assert sets is not None
    assert (sets.class_conditional, sets.expected) == (True, None)
