"""The meaning of each check, in words for people who have not read its code."""

from __future__ import annotations

from dataclasses import dataclass

from serving.rollout.plan import Plan


@dataclass(frozen=True, slots=True)
class CheckName:
    """The words for one check.

    Attributes:
        title: its name on pages.
        question: what it finds out. `{stable}` and `{candidate}` are the versions.
        failure: what a failure means, as the rest of a sentence after "because".
        phase: when it runs.
    """

    title: str
    question: str
    failure: str
    phase: str


CHECKS = {
    "integrity": CheckName(
        "Archive",
        "Is the archive unchanged since it was made, and is there room for both versions?",
        "its archive was refused",
        "preparation",
    ),
    "golden": CheckName(
        "Golden answers",
        "Does {candidate} still give the answers that were recorded when it was made?",
        "it does not reproduce its golden answers",
        "preparation",
    ),
    "latency": CheckName(
        "Speed on golden images",
        "Is {candidate} about as fast as {stable} before clients see it?",
        "it is too slow on the golden images",
        "preparation",
    ),
    "workers": CheckName(
        "Workers",
        "Are all workers of {candidate} up?",
        "it lost a worker",
        "always",
    ),
    "shadow_answers": CheckName(
        "Same answers",
        "Does {candidate} give the same answers as {stable} to copies of real requests?",
        "it answers copies of real requests too differently",
        "shadow",
    ),
    "shadow_reasons": CheckName(
        "Same reasons",
        "Where both give the same answer, do they look at the same parts of the image?",
        "it gives the same answers for other reasons: it looks at other parts of the images",
        "shadow",
    ),
    "canary_errors": CheckName(
        "Errors",
        "Does {candidate} fail more requests of clients than {stable}?",
        "it fails more requests than {stable}",
        "canary",
    ),
    "canary_latency": CheckName(
        "Slow responses",
        "Do clients wait for {candidate} longer than for {stable}?",
        "clients wait for it longer than for {stable}",
        "canary",
    ),
    "referral_rate": CheckName(
        "Referred images",
        "Does {candidate} refer more images to a person than {stable}?",
        "it refers more images to a person than {stable}",
        "canary",
    ),
    "baking": CheckName(
        "After the promotion",
        "Is {candidate} as good for all clients as {stable} was?",
        "it is worse for all clients than {stable} was",
        "baking",
    ),
}


def name_of(check: str) -> CheckName:
    """Return the words for a check. A check that this module does not have keeps its own name."""
    title = check.replace("_", " ")
    return CHECKS.get(check) or CheckName(title.capitalize(), "", f"the check {title} failed", "")


def readable(text: str) -> str:
    """Return a text with the titles of checks in place of their names, such as `same answers` for `shadow_answers`."""
    for name, check in CHECKS.items():
        if "_" in name:
            text = text.replace(name, check.title.lower())
    return text


def expected(plan: Plan) -> list[str]:
    """Return the names of the checks that a rollout with this plan runs, in order."""
    names = ["integrity", "golden", "latency", "workers"]
    if plan.shadow.pairs:
        names += ["shadow_answers", *(["shadow_reasons"] if plan.shadow.explained else [])]
    if plan.canary.shares:
        names += ["canary_errors", "canary_latency", "referral_rate"]
    return [*names, "baking"]
