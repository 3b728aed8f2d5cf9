"""Check of the latency on golden images, before clients see the candidate. It is measured and looked at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from serving.rollout.plan import WarmUp
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "latency"
# With fewer pairs the sign test below can hardly be significant.
MIN_PAIRS = 20
# Probability that a candidate at the limit fails.
ALPHA = 0.01


def judge(stable: Sequence[float], candidate: Sequence[float], warm_up: WarmUp) -> Verdict:
    """Compare the candidate with the stable version, image by image.

    Other load of the machine slows both latencies of a pair, and a pause slows one pair. So the median of the ratios is
    compared, and not a high percentile: the canary compares slow responses. A median above the limit fails only if
    significantly more than half of the ratios are above it (one-sided sign test). If that is unclear, the verdict is
    INCONCLUSIVE, and the canary decides.

    Args:
        stable: latencies of the stable version in seconds, measured in turn with the candidate's.
        candidate: latencies of the candidate in seconds, for the same images.
    """
    pairs = len(stable)
    if pairs < MIN_PAIRS:
        message = f"{pairs} pairs of latencies are too few: {MIN_PAIRS} are needed"
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=message, time=now())
    limit = warm_up.max_latency_ratio
    ratios = np.divide(candidate, stable)
    ratio, above = float(np.median(ratios)), int((ratios > limit).sum())
    significance = p_value(above, pairs)
    if ratio <= limit:
        outcome, comparison = Outcome.PASS, "within"
    elif significance <= ALPHA:
        outcome, comparison = Outcome.FAIL, "above"
    else:
        outcome, comparison = Outcome.INCONCLUSIVE, "not significantly above"
    stable_median, candidate_median = float(np.median(stable)), float(np.median(candidate))
    message = (
        f"a golden image takes {candidate_median * 1e3:.1f} ms, and {stable_median * 1e3:.1f} ms in the stable "
        f"version (medians); the median ratio of {pairs} pairs is {ratio:.2f}, {comparison} the limit of {limit:g}"
    )
    evidence = {
        "pairs": pairs,
        "pairs_above_limit": above,
        "stable_median_seconds": stable_median,
        "candidate_median_seconds": candidate_median,
        "median_ratio": ratio,
        "p_value": significance,
    }
    return Verdict(check=NAME, outcome=outcome, message=message, evidence=evidence, time=now())


def p_value(above: int, pairs: int) -> float:
    """Return the probability of at least so many ratios above the limit, if it is the median: a one-sided sign test.

    scipy.stats.binomtest gives the same, but its import takes a second.
    """
    ways = sum(math.comb(pairs, count) for count in range(above, pairs + 1))
    return ways / float(2**pairs)
