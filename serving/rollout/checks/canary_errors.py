"""Canary check: responses with a status of 500 or more, deadlines exceeded included."""

from __future__ import annotations

from collections.abc import Sequence

from serving.rollout.arms import Stage
from serving.rollout.checks import canary_rate
from serving.rollout.plan import Canary
from serving.rollout.verdict import Verdict

NAME = "canary_errors"


def judge(stages: Sequence[Stage], canary: Canary) -> Verdict:
    """Compare the error rates of both versions. For the outcomes see `canary_rate.judge`."""
    return canary_rate.judge(NAME, "errors", lambda counts: counts.errors, stages, canary)
