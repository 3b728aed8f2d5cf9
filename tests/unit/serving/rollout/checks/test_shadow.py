"""Check the verdicts on shadow comparisons."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from serving.rollout.checks import shadow_answers, shadow_reasons
from serving.rollout.plan import Shadow
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.verdict import Outcome, Verdict

PLAN = Shadow(pairs=300, self_pairs=30, explained=30, max_differences=0.03, min_reason_correlation=0.5)
Judge = Callable[[ShadowSummary, Shadow], Verdict]


def summary(images: int = 0, labels: int = 0, statuses: int = 0, correlations: tuple[float, ...] = ()) -> ShadowSummary:
    return ShadowSummary(
        self_pairs=30,
        pairs=images,
        images=images,
        label_differences=labels,
        status_differences=statuses,
        stable_confidence=0.91,
        candidate_confidence=0.87,
        correlations=list(correlations),
    )


@pytest.mark.parametrize("judge", [shadow_answers.judge, shadow_reasons.judge])
def test_a_stable_version_that_does_not_repeat_its_answers_decides_nothing(judge: Judge) -> None:
    for differences in (300, 0):
        compared = summary(300, differences, correlations=(0.1,) * 30)
        verdict = judge(compared.model_copy(update={"self_differences": 1}), PLAN)
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert "the stable version does not repeat its own answers: 1 of 30" in verdict.message


@pytest.mark.parametrize("judge", [shadow_answers.judge, shadow_reasons.judge])
def test_the_stable_version_is_compared_with_itself_first(judge: Judge) -> None:
    verdict = judge(summary(300).model_copy(update={"self_pairs": 29}), PLAN)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "29 of 30" in verdict.message


@pytest.mark.parametrize("judge", [shadow_answers.judge, shadow_reasons.judge])
def test_no_pairs_are_inconclusive(judge: Judge) -> None:
    verdict = judge(summary(), PLAN)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "yet" in verdict.message


@pytest.mark.parametrize(("labels", "statuses"), [(30, 0), (0, 30), (15, 15)])
def test_other_labels_and_statuses_fail_together(labels: int, statuses: int) -> None:
    verdict = shadow_answers.judge(summary(300, labels, statuses), PLAN)
    assert (verdict.outcome, verdict.holds) == (Outcome.FAIL, False)
    assert "30 of 300 images (10.00%) got another label or status: more than 3.00% differ" in verdict.message


def test_a_failure_needs_no_minimum_of_pairs() -> None:
    assert shadow_answers.judge(summary(12, 6), PLAN).outcome is Outcome.FAIL


def test_equal_answers_pass_after_the_pairs_of_the_plan() -> None:
    early = shadow_answers.judge(summary(250, 0), PLAN)
    assert early.outcome is Outcome.INCONCLUSIVE
    assert "250 of 300 pairs are compared" in early.message
    verdict = shadow_answers.judge(summary(300, 1), PLAN)
    assert verdict.outcome is Outcome.PASS
    assert "fewer than 3.00% differ" in verdict.message


def test_answers_that_differ_at_the_limit_are_inconclusive() -> None:
    assert shadow_answers.judge(summary(300, 9), PLAN).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("labels", [0, 9, 30])
def test_the_sentence_shows_the_probability_of_both_versions_beside_the_count(labels: int) -> None:
    message = shadow_answers.judge(summary(300, labels), PLAN).message
    assert message.endswith("mean calibrated probability: stable 0.910, candidate 0.870")


def test_a_plan_that_allows_all_differences_passes_them() -> None:
    plan = Shadow(max_differences=1, pairs=300)
    assert shadow_answers.judge(summary(300, 300), plan).outcome is Outcome.PASS


def test_equal_reasons_pass_after_the_maps_of_the_plan() -> None:
    assert shadow_reasons.judge(summary(300, correlations=(0.8,) * 29), PLAN).outcome is Outcome.INCONCLUSIVE
    verdict = shadow_reasons.judge(summary(300, correlations=(0.8,) * 30), PLAN)
    assert verdict.outcome is Outcome.PASS
    assert "median rank correlation of 30 pairs of attribution maps is 0.80" in verdict.message


def test_other_reasons_hold_for_a_person() -> None:
    verdict = shadow_reasons.judge(summary(300, correlations=(0.1,) * 20), PLAN)
    assert (verdict.outcome, verdict.holds) == (Outcome.FAIL, True)
    assert "the candidate looks elsewhere" in verdict.message


def test_a_median_at_the_limit_is_inconclusive() -> None:
    verdict = shadow_reasons.judge(summary(300, correlations=(0.4, 0.6) * 20), PLAN)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_a_map_without_a_correlation_is_no_agreement() -> None:
    verdict = shadow_reasons.judge(summary(300, correlations=(math.nan,) * 20), PLAN)
    assert verdict.outcome is Outcome.FAIL
    json.dumps(verdict.evidence, allow_nan=False)
