"""Check of the latency on golden images, before clients see the candidate. It is measured and looked at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from serving.rollout.plan import WarmUp
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "latency"
# Latencies of each version. The p95 of fewer is their maximum.
MIN_LATENCIES = 20
# Probability that a candidate at the limit fails.
ALPHA = 0.01


def judge(stable: Sequence[float], candidate: Sequence[float], warm_up: WarmUp) -> Verdict:
    """Compare the p95 of the candidate with the stable version's.

    A p95 of a few latencies varies: one pause of the machine would decide. So a p95 above the limit fails only if
    significantly more latencies of the candidate are above the limit than of the stable version above its p95 (Fisher's
    exact test, one-sided). A slow candidate without significance is INCONCLUSIVE, and the canary decides.

    Args:
        stable: latencies of the stable version in seconds, measured in turn with the candidate's.
        candidate: latencies of the candidate in seconds.
    """
    if min(len(stable), len(candidate)) < MIN_LATENCIES:
        message = (
            f"{len(stable)} and {len(candidate)} latencies of the stable version and the candidate are too few for a "
            f"p95: {MIN_LATENCIES} of each are needed"
        )
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=message, time=now())
    stable_p95, candidate_p95 = float(np.quantile(stable, 0.95)), float(np.quantile(candidate, 0.95))
    limit = warm_up.max_latency_ratio * stable_p95
    slow = sum(seconds > limit for seconds in candidate), sum(seconds > stable_p95 for seconds in stable)
    significance = p_value((slow[0], len(candidate) - slow[0]), (slow[1], len(stable) - slow[1]))
    if candidate_p95 <= limit:
        outcome, comparison = Outcome.PASS, "within"
    elif significance <= ALPHA:
        outcome, comparison = Outcome.FAIL, "above"
    else:
        outcome, comparison = Outcome.INCONCLUSIVE, "not significantly above"
    message = (
        f"p95 on golden images is {candidate_p95 * 1e3:.1f} ms, and {stable_p95 * 1e3:.1f} ms of the stable version: "
        f"{candidate_p95 / stable_p95:.2f} times, {comparison} the limit of {warm_up.max_latency_ratio:g} times"
    )
    evidence = {
        "latencies": len(candidate),
        "stable_p95_seconds": stable_p95,
        "candidate_p95_seconds": candidate_p95,
        "limit_seconds": limit,
        "p_value": significance,
    }
    return Verdict(check=NAME, outcome=outcome, message=message, evidence=evidence, time=now())


def p_value(candidate: tuple[int, int], stable: tuple[int, int]) -> float:
    """Return the one-sided p-value of Fisher's exact test: that of scipy.stats, which takes a second to import.

    Args:
        candidate: numbers of latencies above and below the limit.
        stable: those of the stable version.
    """
    candidates, above = sum(candidate), candidate[0] + stable[0]
    tables = range(candidate[0], min(candidates, above) + 1)
    ways = sum(math.comb(candidates, count) * math.comb(sum(stable), above - count) for count in tables)
    return ways / math.comb(candidates + sum(stable), above)
