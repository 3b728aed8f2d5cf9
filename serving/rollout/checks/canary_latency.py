"""Canary check: responses that are slower than the stable version's p95 before the canary.

Rates of slow responses are compared, not quantiles: a rate can be tested after each response. More load makes both
versions slower, and is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.rollout.analysis import BadResponses
from serving.rollout.arms import Arms, Stage
from serving.rollout.checks import canary_rate
from serving.rollout.plan import Canary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "canary_latency"
# Rate of slow responses that the stable version had before the canary: slow is above its p95.
USUAL_RATE = 0.05
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def judge(stages: Sequence[Stage], canary: Canary, slow_seconds: float | None) -> Verdict:
    """Compare the rates of slow responses of both versions. For the outcomes see `canary_rate.judge`.

    Slow responses come in bursts: one pause delays all requests that wait. So only one response of each version in each
    look at the counts is evidence (Stage.slow_trials). And a candidate fails only if it is also slower than the stable
    version was before, whose rate was USUAL_RATE.

    Args:
        slow_seconds: the limit of slow responses; None while it is not known. The verdict is then INCONCLUSIVE.
    """
    arms = sum((stage.arms for stage in stages if 0 < stage.share < 1), Arms())
    quantiles = {
        name: {key: counts.quantile(share) for key, share in _QUANTILES.items()}
        for name, counts in (("stable", arms.stable), ("candidate", arms.candidate))
    }
    if slow_seconds is None:
        message = "the stable version has too few responses to say which are slow"
        evidence = {"quantiles_seconds": quantiles}
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=message, evidence=evidence, time=now())
    verdict = canary_rate.judge(NAME, "slow responses", lambda counts: counts.slow, stages, canary, USUAL_RATE, _trials)
    return verdict.model_copy(update={"evidence": {**verdict.evidence, "quantiles_seconds": quantiles}})


def _trials(stage: Stage) -> BadResponses:
    """Return the slow responses of the trials. Each has one response of each version."""
    return BadResponses(0.5, *stage.slow_trials)
