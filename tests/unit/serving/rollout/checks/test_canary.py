"""Check the canary checks and the check after the promotion on counts of both versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from scipy.stats import binomtest

from serving.proxy.arm_counts import ArmCounts
from serving.rollout.arms import Arms, Stage
from serving.rollout.checks import baking, canary_errors, canary_latency, referral_rate
from serving.rollout.plan import Canary
from serving.rollout.verdict import Outcome, Verdict

PLAN = Canary()
judge_latency = partial(canary_latency.judge, slow_seconds=0.1)
KINDS = {canary_errors.judge: "errors", judge_latency: "slow", referral_rate.judge: "referred"}
Judge = Callable[[Sequence[Stage], Canary], Verdict]


def stage(share: float, kind: str, stable: tuple[int, int], candidate: tuple[int, int]) -> Stage:
    """Return a stage; the counts of each version are requests and bad responses.

    Slow responses are independent of each other here: there were as many trials as requests of the candidate.
    """
    trials = (round(stable[1] * candidate[0] / stable[0]), candidate[1]) if kind == "slow" else (0, 0)
    arms = Arms(*(ArmCounts(requests, **{kind: bad}) for requests, bad in (stable, candidate)))
    return Stage(share, arms, trials)


@pytest.mark.parametrize(("judge", "kind"), KINDS.items())
def test_a_worse_rate_fails_and_the_sentence_has_both_rates(judge: Judge, kind: str) -> None:
    verdict = judge([stage(0.1, kind, (9_000, 180), (1_000, 60))], PLAN)
    assert verdict.outcome is Outcome.FAIL
    assert "candidate 60 of 1,000 (6.00%), stable version 180 of 9,000 (2.00%); the candidate is worse" in (
        verdict.message
    )
    assert "limit 300" in verdict.message
    assert not verdict.holds


@pytest.mark.parametrize(("judge", "kind"), KINDS.items())
def test_an_equal_rate_passes_once_there_are_responses_enough(judge: Judge, kind: str) -> None:
    few = judge([stage(0.5, kind, (400, 20), (400, 20))], PLAN)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert "not shown to be worse" in few.message
    verdict = judge([stage(0.5, kind, (4_000, 200), (4_000, 200))], PLAN)
    assert verdict.outcome is Outcome.PASS
    assert "below 1.5 times the stable version's" in verdict.message


@pytest.mark.parametrize(("judge", "kind"), KINDS.items())
def test_a_slightly_worse_rate_is_inconclusive(judge: Judge, kind: str) -> None:
    assert judge([stage(0.5, kind, (4_000, 200), (4_000, 260))], PLAN).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("judge", KINDS)
@pytest.mark.parametrize("stages", [[], [Stage(0.1, Arms())], [Stage(1.0, Arms(candidate=ArmCounts(900)))]])
def test_no_data_is_inconclusive(judge: Judge, stages: list[Stage]) -> None:
    verdict = judge(stages, PLAN)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "yet" in verdict.message


def test_each_check_reads_its_own_count() -> None:
    stages = [Stage(0.5, Arms(ArmCounts(2_000, 2, 100, 100), ArmCounts(2_000, 90, 100, 100)))]
    outcomes = [judge(stages, PLAN).outcome for judge in KINDS]
    assert outcomes[0] is Outcome.FAIL
    assert Outcome.FAIL not in outcomes[1:]


def test_a_candidate_without_errors_passes_although_the_stable_version_has_none_either() -> None:
    verdict = canary_errors.judge([stage(0.1, "errors", (9_000, 0), (700, 0))], PLAN)
    assert verdict.outcome is Outcome.PASS
    assert "below the tolerated 0.50%" in verdict.message
    few = canary_errors.judge([stage(0.1, "errors", (9_000, 0), (500, 0))], PLAN)
    assert few.outcome is Outcome.INCONCLUSIVE


def test_a_rate_that_is_tolerable_but_worse_fails() -> None:
    verdict = canary_errors.judge([stage(0.5, "errors", (20_000, 0), (20_000, 20))], PLAN)
    assert verdict.outcome is Outcome.FAIL


def test_nothing_is_tolerated_if_the_plan_says_so() -> None:
    plan = Canary(tolerated=0)
    assert canary_errors.judge([stage(0.5, "errors", (900, 0), (900, 0))], plan).outcome is Outcome.INCONCLUSIVE


def test_stages_are_judged_by_their_own_share() -> None:
    """Summed over both stages the candidate has a third of the bad responses, and in each it is as good."""
    stages = [stage(0.1, "referred", (9_000, 450), (1_000, 50)), stage(0.5, "referred", (5_000, 250), (5_000, 250))]
    assert referral_rate.judge(stages, PLAN).outcome is Outcome.PASS


def test_latency_without_a_limit_passes_nothing() -> None:
    """Without a limit no response counts as slow."""
    stages = [stage(0.5, "slow", (5_000, 0), (5_000, 0))]
    verdict = canary_latency.judge(stages, PLAN, None)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "too few responses to say which are slow" in verdict.message
    assert judge_latency(stages, PLAN).outcome is Outcome.PASS


def test_candidate_that_is_faster_than_the_stable_version_was_does_not_fail() -> None:
    """A pause of the machine hit 17 waiting requests of the candidate, in a quieter hour than the one before."""
    verdict = judge_latency([stage(0.5, "slow", (1_132, 1), (735, 17))], PLAN)
    assert verdict.outcome is Outcome.PASS
    assert "candidate 17 of 735 (2.31%), stable version 1 of 1,132 (0.09%); the rate is below the tolerated 5.00%" in (
        verdict.message
    )
    assert judge_latency([stage(0.5, "slow", (1_132, 1), (735, 60))], PLAN).outcome is Outcome.FAIL


def test_latency_evidence_has_quantiles_of_both_versions() -> None:
    arms = Arms(ArmCounts(100, slow=5, latencies={1_000: 95, 2_000: 5}), ArmCounts(100, slow=5, latencies={3_000: 100}))
    quantiles = judge_latency([Stage(0.5, arms)], PLAN).evidence["quantiles_seconds"]
    assert quantiles["stable"] == {"p50": 0.001, "p95": 0.001, "p99": 0.002}
    assert quantiles["candidate"]["p95"] == 0.003


@pytest.mark.parametrize("judge", KINDS)
def test_evidence_is_json(judge: Judge) -> None:
    stages = [Stage(0.5, Arms(ArmCounts(9_000), ArmCounts(9_000, 9_000, 9_000, 9_000)), (0, 9_000))]
    evidence = judge(stages, PLAN).evidence
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
    assert evidence["worse"] == {"e_value": 1e12, "limit": 300}


STABLE = ArmCounts(10_000, errors=10, slow=500, referred=500)


def test_the_new_default_passes_with_the_rates_of_the_old_one() -> None:
    verdict = baking.judge(STABLE, ArmCounts(4_000, errors=4, slow=200, referred=200), PLAN)
    assert verdict.outcome is Outcome.PASS
    assert verdict.message.startswith("4,000 responses since the promotion: errors 4 (0.10%, limit 0.50%)")


@pytest.mark.parametrize("kind", ["errors", "referred"])
def test_a_new_default_that_is_worse_fails(kind: str) -> None:
    verdict = baking.judge(STABLE, ArmCounts(1_000, **{kind: 150}), PLAN)
    assert verdict.outcome is Outcome.FAIL
    assert f"{kind} 150 (15.00%" in verdict.message
    assert not verdict.holds


def test_slow_responses_alone_hold_because_more_load_looks_the_same() -> None:
    slow = baking.judge(STABLE, ArmCounts(1_000, slow=300), PLAN)
    assert (slow.outcome, slow.holds) == (Outcome.FAIL, True)
    failing = baking.judge(STABLE, ArmCounts(1_000, errors=100, slow=300), PLAN)
    assert (failing.outcome, failing.holds) == (Outcome.FAIL, False)


def test_slow_responses_may_be_five_percent_if_none_was_counted_before() -> None:
    """The limit of slow responses is found late: earlier responses count as not slow."""
    verdict = baking.judge(ArmCounts(10_000), ArmCounts(4_000, slow=200), PLAN)
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize("stable", [ArmCounts(), STABLE])
def test_no_response_after_the_promotion_is_inconclusive(stable: ArmCounts) -> None:
    verdict = baking.judge(stable, ArmCounts(), PLAN)
    assert (verdict.outcome, verdict.holds) == (Outcome.INCONCLUSIVE, False)
    assert verdict.message == "the new default has no counted response yet"


def test_a_stable_version_without_counts_gives_no_limit() -> None:
    assert baking.judge(ArmCounts(), ArmCounts(1_000, errors=1_000), PLAN).outcome is Outcome.INCONCLUSIVE


def test_the_limit_after_the_promotion_is_the_margin_times_the_upper_bound_of_the_old_rate() -> None:
    upper = binomtest(500, 10_000).proportion_ci(0.90, method="exact").high  # one-sided 95 %
    rates = baking.judge(STABLE, ArmCounts(100), PLAN).evidence["rates"]
    assert rates["referred"]["limit_rate"] == pytest.approx(1.5 * upper)
    assert rates["errors"]["limit_rate"] == PLAN.tolerated
