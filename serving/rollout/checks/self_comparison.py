"""Comparison of the stable version with itself (A/A), which comes before all comparisons with the candidate."""

from __future__ import annotations

from serving.rollout.plan import Shadow
from serving.rollout.shadow.summary import ShadowSummary


def obstacle(summary: ShadowSummary, shadow: Shadow) -> str | None:
    """Return why the candidate's answers cannot be judged yet; None if the stable version repeats its own."""
    if summary.self_differences:
        return (
            f"the stable version does not repeat its own answers: {summary.self_differences} of {summary.self_pairs} "
            "requests were answered differently the second time, so a difference of the candidate means nothing"
        )
    if summary.self_pairs < shadow.self_pairs:
        return f"{summary.self_pairs} of {shadow.self_pairs} answers of the stable version are compared with themselves"
    return None
