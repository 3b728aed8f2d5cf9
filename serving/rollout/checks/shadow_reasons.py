"""Shadow check: whether both versions have the same reasons for the same label, by their attribution maps.

A failure pauses the rollout for a person, because other reasons may be better ones.
"""

from __future__ import annotations

import statistics

from serving.rollout import analysis
from serving.rollout.analysis import PASS_ALPHA
from serving.rollout.checks import self_comparison
from serving.rollout.plan import Shadow
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "shadow_reasons"
# Probability that a candidate fails whose median correlation is at the limit.
ALPHA = 0.01


def judge(summary: ShadowSummary, shadow: Shadow) -> Verdict:
    """Compare the median rank correlation of attribution maps with the plan's limit, after each pair of maps.

    This is a sequential sign test: the median is below the limit if more than half of the correlations are. It assumes
    nothing about their distribution.

    Returns:
        FAIL, which holds: the median is below `min_reason_correlation`. PASS: it is above, and at least `explained`
        pairs of maps were compared. Otherwise INCONCLUSIVE, also if the stable version does not repeat its own answers.
    """
    if (reason := self_comparison.obstacle(summary, shadow)) is not None:
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=reason, time=now())
    limit, maps = shadow.min_reason_correlation, len(summary.correlations)
    if not maps:
        message = "no attribution maps of both versions are compared yet"
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=message, time=now())
    # A constant map has no rank correlation: NaN is no agreement.
    low = sum(not correlation >= limit for correlation in summary.correlations)
    below = float(analysis.log_e_above(low, maps - low, 0.5))
    above = float(analysis.log_e_below(low, maps - low, 0.5))
    numbers = [-1.0 if correlation != correlation else correlation for correlation in summary.correlations]
    median = statistics.median(numbers)
    evidence = {
        "maps": maps,
        "low": low,
        "median": median,
        "lowest": min(numbers),
        "min_reason_correlation": limit,
        "below": {"e_value": analysis.e_value(below), "limit": round(1 / ALPHA)},
        "above": {"e_value": analysis.e_value(above), "limit": round(1 / PASS_ALPHA)},
    }
    figures = (
        f"median rank correlation of {maps:,} pairs of attribution maps is {median:.2f}, with {low:,} below {limit:g}"
    )
    if analysis.reaches(below, ALPHA):
        outcome = Outcome.FAIL
        reason = f"the candidate looks elsewhere (e-value {analysis.e_value(below):,.3g}, limit {1 / ALPHA:.0f})"
    elif not analysis.reaches(above, PASS_ALPHA):
        outcome = Outcome.INCONCLUSIVE
        reason = f"too few to decide (e-value {analysis.e_value(above):,.3g} of {1 / PASS_ALPHA:.0f})"
    elif maps < shadow.explained:
        outcome, reason = Outcome.INCONCLUSIVE, f"{maps:,} of {shadow.explained:,} pairs are compared"
    else:
        outcome = Outcome.PASS
        reason = f"both versions look at the same (e-value {analysis.e_value(above):,.3g}, limit {1 / PASS_ALPHA:.0f})"
    return Verdict(
        check=NAME, outcome=outcome, message=f"{figures}: {reason}", evidence=evidence, holds=True, time=now()
    )
