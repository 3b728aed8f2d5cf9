"""Canary check: responses that are slower than the stable version's p95 before the canary.

Rates of slow responses are compared, not quantiles: a rate can be tested after each response. More load makes both
versions slower, and is no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

from serving.rollout.arms import Arms, Stage
from serving.rollout.checks import canary_rate
from serving.rollout.plan import Canary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "canary_latency"
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def judge(stages: Sequence[Stage], canary: Canary) -> Verdict:
    """Compare the rates of slow responses of both versions. For the outcomes see `canary_rate.judge`.

    It is INCONCLUSIVE as long as no response was slow: then there may be no limit yet, which nothing can pass.
    """
    arms = sum((stage.arms for stage in stages if 0 < stage.share < 1), Arms())
    quantiles = {
        name: {key: counts.quantile(share) for key, share in _QUANTILES.items()}
        for name, counts in (("stable", arms.stable), ("candidate", arms.candidate))
    }
    if not arms.stable.slow + arms.candidate.slow:
        message = f"no slow response yet among {arms.stable.requests + arms.candidate.requests:,}"
        evidence = {"quantiles_seconds": quantiles}
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=message, evidence=evidence, time=now())
    verdict = canary_rate.judge(NAME, "slow responses", lambda counts: counts.slow, stages, canary)
    return verdict.model_copy(update={"evidence": {**verdict.evidence, "quantiles_seconds": quantiles}})
