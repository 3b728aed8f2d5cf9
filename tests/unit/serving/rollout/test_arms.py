"""Slow responses of two versions as independent trials, though they come in bursts."""

from __future__ import annotations

import numpy as np
import pytest

from serving.proxy.arm_counts import ArmCounts
from serving.rollout import analysis
from serving.rollout.analysis import BadResponses
from serving.rollout.arms import Arms, Stage

# A look has so many requests of both versions.
STABLE, CANDIDATE = 15, 5
SHARE = CANDIDATE / (STABLE + CANDIDATE)
LIMIT = np.log(300)


def look(stable_slow: int, candidate_slow: int) -> Arms:
    return Arms(ArmCounts(STABLE, slow=stable_slow), ArmCounts(CANDIDATE, slow=candidate_slow))


def test_a_look_is_one_trial_however_many_responses_were_slow() -> None:
    stage = Stage(SHARE, Arms())
    for _ in range(3):
        stage = stage.with_new(look(STABLE, CANDIDATE), lambda: 0.999)
    assert stage.slow_trials == (3, 3)
    assert (stage.arms.stable.slow, stage.arms.candidate.slow) == (3 * STABLE, 3 * CANDIDATE)


def test_a_trial_draws_one_response_of_each_version() -> None:
    draws = iter([0.19, 0.21])
    assert Stage(SHARE, Arms()).with_new(look(3, 1), lambda: next(draws)).slow_trials == (1, 0)


def test_a_trial_waits_until_both_versions_have_answered() -> None:
    stage = Stage(0.01, Arms()).with_new(Arms(ArmCounts(9, slow=9), ArmCounts()), lambda: 0.0)
    assert stage.slow_trials == (0, 0)
    stage = stage.with_new(Arms(ArmCounts(), ArmCounts(1)), lambda: 0.0)
    assert stage.slow_trials == (1, 0), "the responses before count too"
    assert stage.with_new(Arms(ArmCounts(9, slow=9), ArmCounts()), lambda: 0.0).slow_trials == (1, 0)


@pytest.mark.slow
def test_pauses_that_hit_both_versions_alike_roll_back_no_candidate() -> None:
    """A pause delays all requests of one version in a look. As independent responses they would be evidence."""
    generator = np.random.default_rng(0)
    runs, looks, alarms, naive = 300, 240, 0, 0
    for _ in range(runs):
        stage, trials, slow = Stage(SHARE, Arms()), [], []
        for stable, candidate in (generator.random((looks, 2)) < 0.1).tolist():
            stage = stage.with_new(look(STABLE * stable, CANDIDATE * candidate), generator.random)
            trials.append(stage.slow_trials)
            slow.append((stage.arms.stable.slow, stage.arms.candidate.slow))
        by_trial, by_response = np.array(trials), np.array(slow)
        alarms += bool((analysis.log_e_above(by_trial[:, 1], by_trial[:, 0], 0.5) >= LIMIT).any())
        naive += bool((analysis.log_e_above(by_response[:, 1], by_response[:, 0], SHARE) >= LIMIT).any())
    assert alarms <= 0.01 * runs
    assert naive > 0.05 * runs


def test_a_slow_candidate_is_found_within_seconds() -> None:
    generator = np.random.default_rng(1)
    stage, looks = Stage(SHARE, Arms()), 0
    while analysis.log_e_worse([BadResponses(0.5, *stage.slow_trials)]) < LIMIT:
        stage = stage.with_new(look(int(generator.binomial(STABLE, 0.05)), CANDIDATE), generator.random)
        looks += 1
    assert looks <= 20, "ten seconds"
