"""Check after the promotion: the new default's rates against those that the old version had.

All requests go to the new version now, so there is no control arm. Other images or more load change rates too, so an
alarm needs a rate above `margin` times the old one.
"""

from __future__ import annotations

from scipy.special import betaincinv

from serving.proxy.arm_counts import ArmCounts
from serving.rollout import analysis
from serving.rollout.analysis import PASS_ALPHA
from serving.rollout.checks.canary_latency import USUAL_RATE
from serving.rollout.checks.canary_rate import CHECKS
from serving.rollout.plan import Canary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "baking"
# Confidence of the upper bound of the stable version's rate.
CONFIDENCE = 0.95


def judge(stable: ArmCounts, candidate: ArmCounts, canary: Canary) -> Verdict:
    """Test each rate of the new default against a limit, after each response.

    The limit is `margin` times the upper confidence bound of the stable version's rate (Clopper and Pearson 1934), and
    at least `tolerated`.

    Args:
        stable: counts of the stable version before the promotion.
        candidate: counts of the candidate after it.

    Returns:
        FAIL: a rate is above its limit. If only slow responses are, the failure holds, because more load looks the
        same. PASS: every rate is below its limit. Otherwise INCONCLUSIVE.
    """
    alpha = canary.alpha / CHECKS
    limits = {
        "errors": _limit(stable.errors, stable.requests, canary),
        "slow": max(canary.margin * USUAL_RATE, _limit(stable.slow, stable.requests, canary)),
        "referred": _limit(stable.referred, stable.requests, canary),
    }
    counts = {"errors": candidate.errors, "slow": candidate.slow, "referred": candidate.referred}
    rates, failed, passed = {}, [], []
    for kind, limit in limits.items():
        bad, good = counts[kind], max(0, candidate.requests - counts[kind])
        above, below = 0.0, 0.0
        if limit < 1:
            above, below = (
                float(analysis.log_e_above(bad, good, limit)),
                float(analysis.log_e_below(bad, good, limit)),
            )
        failed += [kind] if analysis.reaches(above, alpha) else []
        passed += [kind] if analysis.reaches(below, PASS_ALPHA) else []
        rates[kind] = {
            "bad": bad,
            "limit_rate": limit,
            "above": {"e_value": analysis.e_value(above), "limit": round(1 / alpha)},
            "below": {"e_value": analysis.e_value(below), "limit": round(1 / PASS_ALPHA)},
        }
    if failed:
        outcome = Outcome.FAIL
        shown, conclusion = failed, "above the limit"
    elif len(passed) == len(limits):
        outcome = Outcome.PASS
        shown, conclusion = passed, "below the limit"
    else:
        outcome = Outcome.INCONCLUSIVE
        shown, conclusion = [kind for kind in limits if kind not in passed], "not yet shown to be below the limit"
    message = "the new default has no counted response yet"
    if candidate.requests:
        figures = ", ".join(
            f"{kind} {counts[kind]:,} ({counts[kind] / candidate.requests:.2%}, limit {limits[kind]:.2%})"
            for kind in shown
        )
        message = f"{candidate.requests:,} responses since the promotion: {figures}: {conclusion}"
    evidence = {"requests": candidate.requests, "stable_requests": stable.requests, "rates": rates}
    return Verdict(
        check=NAME,
        outcome=outcome,
        message=message,
        evidence=evidence,
        holds=failed == ["slow"],
        time=now(),
    )


def _limit(bad: int, requests: int, canary: Canary) -> float:
    """Return the rate above which the new default fails; 1 if the stable version shows too little."""
    upper = float(betaincinv(bad + 1, requests - bad, CONFIDENCE)) if bad < requests else 1.0
    return min(1.0, max(canary.tolerated, canary.margin * upper))
