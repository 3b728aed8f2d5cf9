"""Check of the golden answers: the candidate must answer its golden images over HTTP as it did when it was trained."""

from __future__ import annotations

from serving.rollout.state import now
from serving.rollout.verdict import Outcome, Verdict

NAME = "golden"


def judge(model: str, version: str, answers: int | None, error: str | None) -> Verdict:
    """Turn the result of a golden check into a verdict.

    Args:
        answers: number of golden answers that were equal; None if the check did not end.
        error: the message of the GoldenError.
    """
    if error is not None:
        outcome, message = Outcome.FAIL, f"{model} {version}: {error}"
    elif not answers:
        outcome, message = Outcome.INCONCLUSIVE, f"{model} {version}: no golden image was compared"
    else:
        outcome, message = Outcome.PASS, f"{model} {version} reproduced {answers} golden answers over HTTP"
    evidence = {"answers": answers, "error": error}
    return Verdict(check=NAME, outcome=outcome, message=message, evidence=evidence, time=now())
