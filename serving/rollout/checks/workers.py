"""Check of the candidate's workers: a worker that dies rolls back at once, without statistics."""

from __future__ import annotations

from serving.rollout.interfaces import RegisteredVersion
from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "workers"


def judge(version: str, registered: RegisteredVersion | None) -> Verdict:
    """Return whether all predict workers of a version are READY."""
    if registered is None:
        message = f"{version} is not registered any more: its workers could not start again"
        return Verdict(check=NAME, outcome=Outcome.FAIL, message=message, time=now())
    predicting = registered.predicting
    complete = predicting.ready >= predicting.configured
    return Verdict(
        check=NAME,
        outcome=Outcome.PASS if complete else Outcome.FAIL,
        message=f"{predicting.ready} of {predicting.configured} predict workers of {version} are READY",
        evidence={"ready": predicting.ready, "configured": predicting.configured},
        time=now(),
    )
