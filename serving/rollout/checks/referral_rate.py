"""Canary check: responses whose decision is refer. More of them mean more work for people."""

from __future__ import annotations

from collections.abc import Sequence

from serving.rollout.arms import Stage
from serving.rollout.checks import canary_rate
from serving.rollout.plan import Canary
from serving.rollout.verdict import Verdict

NAME = "referral_rate"


def judge(stages: Sequence[Stage], canary: Canary) -> Verdict:
    """Compare the referral rates of both versions. For the outcomes see `canary_rate.judge`."""
    return canary_rate.judge(NAME, "referrals", lambda counts: counts.referred, stages, canary)
