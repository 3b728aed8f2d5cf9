"""Simulated rollouts, looked at after every event. Arrays have one row for each run and one column for each event.

Good responses do not change the comparison of two versions, so a look after each bad response is a look after each
response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serving.rollout import analysis
from serving.rollout.checks import shadow_answers
from serving.rollout.checks.canary_rate import CHECKS

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
LogE = Callable[[Counts, Counts, float], Floats]


def each_pair_once(log_e: LogE, bad: Counts, good: Counts, limit: float) -> Floats:
    """Return the e-values of all runs and events, as logarithms. Most runs meet the same pairs of counts."""
    width = int(good.max()) + 1
    pairs, index = np.unique(bad * width + good, return_inverse=True)
    return log_e(pairs // width, pairs % width, limit)[index].reshape(bad.shape)


@dataclass(frozen=True, slots=True)
class BadEvents:
    """Bad responses of simulated rollouts with one share.

    Attributes:
        candidate: bad responses of the candidate so far, after each bad response of any version.
        stable: those of the stable version.
        candidate_requests: requests that the candidate has answered so far.
    """

    candidate: Counts
    stable: Counts
    candidate_requests: Counts


def bad_events(
    rng: np.random.Generator, runs: int, events: int, share: float, stable_rate: float, candidate_rate: float
) -> BadEvents:
    """Simulate requests that are assigned to the candidate with probability `share`, until `events` of them are bad."""
    bad_rate = share * candidate_rate + (1 - share) * stable_rate
    of_candidate = rng.random((runs, events)) < share * candidate_rate / bad_rate
    good_before = rng.geometric(bad_rate, (runs, events)) - 1
    good_of_candidate = rng.binomial(good_before, share * (1 - candidate_rate) / (1 - bad_rate))
    candidate = of_candidate.cumsum(axis=1)
    return BadEvents(candidate, np.arange(1, events + 1) - candidate, (good_of_candidate + of_candidate).cumsum(axis=1))


def requests_until(log_e: Floats, alpha: float, requests: Counts) -> Floats:
    """Return the requests of each run until the e-value reaches its limit; infinity if it never does."""
    reached = log_e >= -np.log(alpha)
    first = np.take_along_axis(requests, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(reached.any(axis=1), first, np.inf)


def requests_until_fail(
    rng: np.random.Generator,
    runs: int,
    events: int,
    share: float,
    rates: tuple[float, float],
    alpha: float,
    strength: float = analysis.PRIOR_STRENGTH,
) -> Floats:
    """Return the candidate's requests until it fails, for the rates of the stable version and the candidate."""
    bad = bad_events(rng, runs, events, share, *rates)
    log_e = each_pair_once(partial(analysis.log_e_above, strength=strength), bad.candidate, bad.stable, share)
    return requests_until(log_e, alpha, bad.candidate_requests)


def requests_until_not_inferior(
    rng: np.random.Generator, runs: int, events: int, share: float, rates: tuple[float, float], margin: float
) -> Floats:
    """Return the candidate's requests until its rate is shown to be below `margin` times the stable version's."""
    bad = bad_events(rng, runs, events, share, *rates)
    limit = analysis.share_of_bad(share, margin)
    log_e = each_pair_once(analysis.log_e_below, bad.candidate, bad.stable, limit)
    return requests_until(log_e, analysis.PASS_ALPHA, bad.candidate_requests)


def trials_until_below(rng: np.random.Generator, runs: int, trials: int, rate: float, limit: float) -> Floats:
    """Return the trials of one version until its rate is shown to be below `limit`."""
    bad = (rng.random((runs, trials)) < rate).cumsum(axis=1)
    numbers = np.arange(1, trials + 1)
    log_e = each_pair_once(analysis.log_e_below, bad, numbers - bad, limit)
    return requests_until(log_e, analysis.PASS_ALPHA, np.broadcast_to(numbers, bad.shape))


def trials_until_above(rng: np.random.Generator, runs: int, trials: int, rate: float, limit: float) -> Floats:
    """Return the trials of one version until its rate is shown to be above `limit` at 1 %, as the shadow checks do."""
    bad = (rng.random((runs, trials)) < rate).cumsum(axis=1)
    numbers = np.arange(1, trials + 1)
    log_e = each_pair_once(analysis.log_e_above, bad, numbers - bad, limit)
    return requests_until(log_e, shadow_answers.ALPHA, np.broadcast_to(numbers, bad.shape))


def growing_shares(
    rng: np.random.Generator, runs: int, shares: Sequence[float], events: int, ratio: float, margin: float | None
) -> Floats:
    """Return the e-value of each run after each bad response, over stages with growing shares, as its logarithm.

    Args:
        events: bad responses in each stage.
        ratio: the candidate's rate as a multiple of the stable version's.
        margin: None for the test that the candidate is worse, a margin for the test that it is not inferior.
    """
    stages, before = [], np.zeros((runs, 1))
    for share in shares:
        candidate = (rng.random((runs, events)) < analysis.share_of_bad(share, ratio)).cumsum(axis=1)
        stable = np.arange(1, events + 1) - candidate
        if margin is None:
            log_e = each_pair_once(analysis.log_e_above, candidate, stable, share)
        else:
            log_e = each_pair_once(analysis.log_e_below, candidate, stable, analysis.share_of_bad(share, margin))
        stages.append(before + log_e)
        before = stages[-1][:, -1:]
    return np.concatenate(stages, axis=1)


def false_rollbacks(
    rng: np.random.Generator, runs: int, shares: Sequence[float], events: Mapping[str, int], alpha: float
) -> float:
    """Return the share of runs in which any canary check fails although both versions have the same rates.

    Args:
        events: bad responses in each stage, by check.
        alpha: that of the plan, over all canary checks together.
    """
    failed = np.zeros(runs, dtype=bool)
    for number in events.values():
        log_e = growing_shares(rng, runs, shares, number, 1.0, None)
        failed |= (log_e >= -np.log(alpha / CHECKS)).any(axis=1)
    return float(failed.mean())
