"""Comparison of the rates of one kind of bad response, which all canary checks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serving.proxy.arm_counts import ArmCounts
from serving.rollout import analysis
from serving.rollout.analysis import PASS_ALPHA, BadResponses
from serving.rollout.arms import Arms, Stage
from serving.rollout.plan import Canary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

# Number of canary checks, which share alpha: errors, latency, referral rate.
CHECKS = 3


def judge(
    check: str,
    kind: str,
    count: Callable[[ArmCounts], int],
    stages: Sequence[Stage],
    canary: Canary,
    usual: float = 0.0,
    independent: Callable[[Stage], BadResponses] | None = None,
) -> Verdict:
    """Compare the rates of one kind of bad response in both versions.

    Args:
        check: name of the check.
        kind: kind of response in messages, such as "errors".
        count: returns the number of such responses.
        stages: periods with a constant share. Those in which one version got no request are left out.
        usual: rate that the stable version had before the rollout. A candidate with a lower rate does not fail.
        independent: returns the bad responses of a period that are independent of each other. Only these are evidence
            that the candidate is worse. None: all are.

    Returns:
        FAIL: the candidate's rate is above the stable version's. PASS: it is below `margin` times the stable version's,
        or below `tolerated` or `usual`. Otherwise INCONCLUSIVE.
    """
    compared = [stage for stage in stages if 0 < stage.share < 1]
    arms = sum((stage.arms for stage in compared), Arms())
    bad = [BadResponses(stage.share, count(stage.arms.stable), count(stage.arms.candidate)) for stage in compared]
    stable, candidate = count(arms.stable), count(arms.candidate)
    alpha = canary.alpha / CHECKS
    worse = analysis.log_e_worse(bad if independent is None else [independent(stage) for stage in compared])
    not_inferior = analysis.log_e_not_inferior(bad, canary.margin)
    tolerated = max(canary.tolerated, usual)
    tolerable = _log_e_tolerable(candidate, arms.candidate.requests, tolerated)
    evidence = {
        "stable": {"requests": arms.stable.requests, "bad": stable, "rate": _rate(stable, arms.stable.requests)},
        "candidate": {
            "requests": arms.candidate.requests,
            "bad": candidate,
            "rate": _rate(candidate, arms.candidate.requests),
        },
        "worse": {"e_value": analysis.e_value(worse), "limit": round(1 / alpha)},
        "not_inferior": {"e_value": analysis.e_value(not_inferior), "limit": round(1 / PASS_ALPHA)},
        "tolerable": {"e_value": analysis.e_value(tolerable), "limit": round(1 / PASS_ALPHA)},
        "margin": canary.margin,
        "tolerated": tolerated,
    }
    figures = f"candidate {_of(candidate, arms.candidate)}, stable version {_of(stable, arms.stable)}"
    if not arms.candidate.requests:
        outcome, message = Outcome.INCONCLUSIVE, f"no response of the candidate is counted yet, so {kind} have no rate"
    elif analysis.reaches(worse, alpha) and candidate > usual * arms.candidate.requests:
        outcome = Outcome.FAIL
        message = f"{kind}: {figures}; the candidate is worse (e-value {_e(worse)}, limit {1 / alpha:,.0f})"
    elif analysis.reaches(not_inferior, PASS_ALPHA):
        outcome = Outcome.PASS
        message = (
            f"{kind}: {figures}; the rate is below {canary.margin:g} times the stable version's "
            f"(e-value {_e(not_inferior)}, limit {1 / PASS_ALPHA:.0f})"
        )
    elif analysis.reaches(tolerable, PASS_ALPHA):
        outcome = Outcome.PASS
        message = (
            f"{kind}: {figures}; the rate is below the tolerated {tolerated:.2%} "
            f"(e-value {_e(tolerable)}, limit {1 / PASS_ALPHA:.0f})"
        )
    else:
        outcome = Outcome.INCONCLUSIVE
        best = max(not_inferior, tolerable)
        message = (
            f"{kind}: {figures}; not shown to be worse (e-value {_e(worse)} of {1 / alpha:,.0f}), nor to be as good "
            f"({_e(best)} of {1 / PASS_ALPHA:.0f})"
        )
    return Verdict(check=check, outcome=outcome, message=message, evidence=evidence, time=now())


def _log_e_tolerable(bad: int, requests: int, tolerated: float) -> float:
    if not 0 < tolerated < 1:
        return 0.0
    return float(analysis.log_e_below(bad, max(0, requests - bad), tolerated))


def _rate(bad: int, requests: int) -> float | None:
    return bad / requests if requests else None


def _of(bad: int, counts: ArmCounts) -> str:
    return f"{bad:,} of {counts.requests:,}" + (f" ({bad / counts.requests:.2%})" if counts.requests else "")


def _e(log_e: float) -> str:
    return f"{analysis.e_value(log_e):,.3g}"
