"""Shadow check: the share of images that the candidate answers with another label or status."""

from __future__ import annotations

from serving.rollout import analysis
from serving.rollout.analysis import PASS_ALPHA
from serving.rollout.checks import self_comparison
from serving.rollout.plan import Shadow
from serving.rollout.shadow.summary import ShadowSummary
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "shadow_answers"
# Probability that a candidate fails whose answers differ at the limit.
ALPHA = 0.01


def judge(summary: ShadowSummary, shadow: Shadow) -> Verdict:
    """Compare the share of different answers with the plan's limit, after each pair.

    Without true labels a difference has no direction, so the message has the mean calibrated probability of both
    versions beside the count.

    Returns:
        FAIL: the share is above `max_differences`. PASS: it is below, and at least `pairs` were compared. Otherwise
        INCONCLUSIVE, also if the stable version does not repeat its own answers.
    """
    if (reason := self_comparison.obstacle(summary, shadow)) is not None:
        return Verdict(check=NAME, outcome=Outcome.INCONCLUSIVE, message=reason, time=now())
    different = summary.label_differences + summary.status_differences
    limit = shadow.max_differences
    if limit < 1:
        above = float(analysis.log_e_above(different, summary.images - different, limit))
        below = float(analysis.log_e_below(different, summary.images - different, limit))
    else:  # any share is allowed
        above, below = 0.0, float("inf")
    evidence = {
        "pairs": summary.pairs,
        "images": summary.images,
        "different": different,
        "label_differences": summary.label_differences,
        "status_differences": summary.status_differences,
        "rate": different / summary.images if summary.images else None,
        "max_differences": limit,
        "stable_confidence": summary.stable_confidence,
        "candidate_confidence": summary.candidate_confidence,
        "above": {"e_value": analysis.e_value(above), "limit": round(1 / ALPHA)},
        "below": {"e_value": analysis.e_value(below), "limit": round(1 / PASS_ALPHA)},
    }
    confidence = ""
    if summary.stable_confidence is not None and summary.candidate_confidence is not None:
        confidence = (
            f"; mean calibrated probability: stable {summary.stable_confidence:.3f}, "
            f"candidate {summary.candidate_confidence:.3f}"
        )
    if not summary.images:
        outcome, message = Outcome.INCONCLUSIVE, "no answers of both versions are compared yet"
    else:
        figures = (
            f"{different:,} of {summary.images:,} images ({different / summary.images:.2%}) got another label or status"
        )
        if analysis.reaches(above, ALPHA):
            outcome = Outcome.FAIL
            reason = f"more than {limit:.2%} differ (e-value {analysis.e_value(above):,.3g}, limit {1 / ALPHA:.0f})"
        elif not analysis.reaches(below, PASS_ALPHA):
            outcome = Outcome.INCONCLUSIVE
            reason = (
                f"too few to say if more than {limit:.2%} differ "
                f"(e-value {analysis.e_value(below):,.3g} of {1 / PASS_ALPHA:.0f})"
            )
        elif summary.pairs < shadow.pairs:
            outcome, reason = Outcome.INCONCLUSIVE, f"{summary.pairs:,} of {shadow.pairs:,} pairs are compared"
        else:
            outcome = Outcome.PASS
            reason = (
                f"fewer than {limit:.2%} differ (e-value {analysis.e_value(below):,.3g}, limit {1 / PASS_ALPHA:.0f})"
            )
        message = f"{figures}: {reason}{confidence}"
    return Verdict(check=NAME, outcome=outcome, message=message, evidence=evidence, time=now())
