"""Check the sequential tests against their definition, against simulated rollouts, and against MAPIE's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mapie.exchangeability_testing import RiskMonitoring
from scipy.integrate import quad
from scipy.stats import beta, binom

from benchmarks.rollout_statistics import simulation
from serving.rollout import analysis
from serving.rollout.analysis import PASS_ALPHA, PRIOR_STRENGTH, BadResponses

SHARES = (0.01, 0.05, 0.25, 0.5)
# Candidate's requests until it is stopped, median, at share 10 % and alpha 1 % (docs/explanation/rollouts.md).
MEDIANS = {(0.001, 0.01): 571, (0.01, 0.02): 1_456, (0.02, 0.04): 667, (0.10, 0.12): 3_339}


def integral(bad: int, good: int, limit: float, low: float, high: float) -> float:
    """Return the e-value by its definition: the mean likelihood ratio under the cut prior."""
    prior = beta(PRIOR_STRENGTH * limit, PRIOR_STRENGTH * (1 - limit))

    def weighted_ratio(q: float) -> float:
        return float(prior.pdf(q) * (q / limit) ** bad * ((1 - q) / (1 - limit)) ** good)

    mass = prior.cdf(high) - prior.cdf(low)
    return float(quad(weighted_ratio, low, high, limit=200)[0] / mass)


@pytest.mark.parametrize(("bad", "good", "limit"), [(0, 0, 0.1), (3, 5, 0.1), (0, 40, 0.3), (20, 30, 0.5), (2, 9, 0.6)])
def test_e_values_are_the_mean_likelihood_ratio_under_the_cut_prior(bad: int, good: int, limit: float) -> None:
    above, below = analysis.log_e_above(bad, good, limit), analysis.log_e_below(bad, good, limit)
    assert math.exp(above) == pytest.approx(integral(bad, good, limit, limit, 1), rel=1e-4)
    assert math.exp(below) == pytest.approx(integral(bad, good, limit, 0, limit), rel=1e-4)


@pytest.mark.parametrize("limit", [0.005, 0.1, 0.5])
def test_a_bet_is_fair_at_the_limit_and_loses_within_the_hypothesis(limit: float) -> None:
    bad = np.arange(61)
    above = np.exp(analysis.log_e_above(bad, 60 - bad, limit))
    below = np.exp(analysis.log_e_below(bad, 60 - bad, limit))
    at_limit = binom.pmf(bad, 60, limit)
    assert at_limit @ above == pytest.approx(1) == at_limit @ below
    assert binom.pmf(bad, 60, limit * 0.7) @ above < 1
    assert binom.pmf(bad, 60, limit * 1.3) @ below < 1


def test_evidence_of_stages_with_other_shares_is_multiplied() -> None:
    first, second = BadResponses(0.01, 90, 3), BadResponses(0.25, 40, 22)
    alone = analysis.log_e_worse([first]), analysis.log_e_worse([second])
    assert analysis.log_e_worse([first, second]) == pytest.approx(sum(alone))
    assert alone[1] == pytest.approx(float(analysis.log_e_above(22, 40, 0.25)))


def test_stages_with_one_version_are_no_evidence() -> None:
    assert analysis.log_e_worse([BadResponses(0.0, 50, 0), BadResponses(1.0, 0, 500)]) == 0
    assert analysis.log_e_not_inferior([BadResponses(0.0, 50, 0), BadResponses(1.0, 0, 500)], 1.5) == 0


@pytest.mark.parametrize(("share", "ratio", "expected"), [(0.1, 1, 0.1), (0.5, 1.5, 0.6), (0.25, 3, 0.5)])
def test_share_of_bad_responses_follows_the_ratio_of_the_rates(share: float, ratio: float, expected: float) -> None:
    assert analysis.share_of_bad(share, ratio) == pytest.approx(expected)


def test_overwhelming_evidence_is_a_finite_number_in_json() -> None:
    assert analysis.e_value(float(analysis.log_e_above(1_000_000, 0, 0.01))) == analysis.MAX_E_VALUE
    assert analysis.e_value(float(analysis.log_e_below(1_000_000, 0, 0.01))) == 0
    assert analysis.e_value(math.log(1234.5)) == 1230


@pytest.mark.slow
def test_at_most_one_percent_of_equal_candidates_are_rolled_back() -> None:
    """All three checks, looked at after every event of 8,080, with the plan's alpha of 1 % over all of them."""
    events = {"errors": 20, "latency": 1_000, "referrals": 1_000}
    assert simulation.false_rollbacks(np.random.default_rng(0), 1_000, SHARES, events, alpha=0.01) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("rates", "median"), MEDIANS.items())
def test_worse_candidates_are_stopped_within_twice_the_medians_of_the_table(
    rates: tuple[float, float], median: int
) -> None:
    """Each check has a third of alpha, as in a rollout."""
    events = int(2 * median / 0.1 * (0.1 * rates[1] + 0.9 * rates[0])) + 30
    alpha = 0.01 / simulation.CHECKS
    requests = simulation.requests_until_fail(np.random.default_rng(1), 500, events, 0.1, rates, alpha)
    assert np.median(requests) <= 2 * median


@pytest.mark.slow
def test_a_test_that_is_repeated_gives_the_false_alarms_that_this_one_avoids() -> None:
    rng = np.random.default_rng(2)
    candidate = (rng.random((1_000, 5_000)) < 0.1).cumsum(axis=1)
    looks = np.arange(100, 5_001, 100) - 1
    p_values = binom.sf(candidate[:, looks] - 1, looks + 1, 0.1)
    assert (p_values <= 0.05).any(axis=1).mean() > 0.2
    log_e = analysis.log_e_above(candidate[:, looks], looks + 1 - candidate[:, looks], 0.1)
    assert (log_e >= -np.log(0.05)).any(axis=1).mean() <= 0.05


@pytest.mark.slow
def test_candidates_that_are_worse_by_the_margin_rarely_pass_and_equal_ones_do() -> None:
    worse = simulation.growing_shares(np.random.default_rng(3), 10_000, SHARES, 300, 1.5, margin=1.5)
    equal = simulation.growing_shares(np.random.default_rng(4), 1_000, SHARES, 300, 1.0, margin=1.5)
    assert (worse >= -np.log(PASS_ALPHA)).any(axis=1).mean() <= PASS_ALPHA + 0.005  # twice the standard error
    assert (equal >= -np.log(PASS_ALPHA)).any(axis=1).mean() >= 0.9


def test_a_version_without_an_error_passes_the_tolerated_rate_after_615_requests() -> None:
    requests = np.arange(1_000)
    log_e = analysis.log_e_below(np.zeros(1_000), requests, 0.005)
    assert requests[log_e >= -np.log(PASS_ALPHA)][0] == 615


@pytest.mark.slow
def test_versions_at_the_tolerated_rate_rarely_pass() -> None:
    requests = simulation.trials_until_below(np.random.default_rng(5), 4_000, 5_000, 0.005, 0.005)
    assert np.isfinite(requests).mean() <= PASS_ALPHA + 0.005


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [0.03, 0.15])
def test_alarms_of_mapie_are_ours_too(seed: int, rate: float) -> None:
    """RiskMonitoring tests the same hypothesis on one rate, without assuming that losses are 0 or 1.

    It halves its level twice: once for a reference sample, once in its bound. OnlineMartingaleTest does not fit: it
    asks whether a stream changes, and an improvement is a change too.
    """
    limit, alpha = 0.03, 0.01
    wrong = np.random.default_rng(seed).random(400) < rate
    monitor = RiskMonitoring("accuracy", test_level=4 * alpha, threshold=limit, warn=False)
    monitor.update(np.zeros(len(wrong)), wrong.astype(float))
    theirs = monitor.online_risk_lower_bound_sequence_history > limit
    bad = wrong.cumsum()
    ours = analysis.log_e_above(bad, np.arange(1, len(wrong) + 1) - bad, limit) >= -np.log(alpha)
    assert ours.any() == (rate > limit)
    if theirs.any():
        assert ours.argmax() <= theirs.argmax()
    assert theirs.any() == (rate > limit)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_correction_of_the_share_gives_no_false_alarms(share: float) -> None:
    """The biased coin of deploy/haproxy/haproxy.cfg.jinja keeps the share, and the e-value stays a valid test."""
    random, runs, requests = np.random.default_rng(7), 1_000, 8_000
    candidate, bad_of_candidate, bad = np.zeros(runs), np.zeros(runs), np.zeros(runs)
    largest = np.zeros(runs)
    for number in range(requests):
        behind = np.floor(number * share) - candidate
        odds = np.where(behind > 2, share * 1.25, np.where(behind < -2, share * 0.75, share))
        assigned, is_bad = random.random(runs) < odds, random.random(runs) < 0.05
        candidate += assigned
        bad_of_candidate += is_bad & assigned
        bad += is_bad
        if number % 5 == 0:
            largest = np.maximum(largest, analysis.log_e_above(bad_of_candidate, bad - bad_of_candidate, share))
    assert np.abs(candidate / requests - share).max() < 0.005, "half a point"
    assert (largest >= math.log(100)).mean() <= 0.01
