"""The verdict at the top of a report: what the model can be used for, and what not, derived from its figures by rules.

A sentence says no more than the 95 % intervals of its figures allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from training.metrics.figures import ClassFigures, Figures
from training.metrics.interval import Share
from training.report.report import Report
from training.report.words import plural, portion, reach

# A wider interval of the accuracy, as a share, allows no statement but its lower end.
MAX_WIDTH = 0.2
# Smallest share of images that are accepted and wrong, for a warning about this kind of images.
MIN_HARM = 0.1
# Largest upper end of a recall, for a warning about the class.
MAX_RECALL = 0.8
# Warnings of each kind that fit into a sentence.
MAX_WARNINGS = 4


class Condition(Protocol):
    """One kind of changed or foreign images, such as mirrored ones."""

    @property
    def title(self) -> str:
        """Name for people, such as "tinted orange"."""

    @property
    def accepted(self) -> Share | None:
        """Share of the images that are accepted; None if the card has no `uncertainty`."""

    @property
    def right_accepted(self) -> Share | None:
        """Share of the accepted images that are right; None for foreign images, and where none is accepted."""

    @property
    def is_foreign(self) -> bool:
        """True if the images show none of the classes."""


Kind = TypeVar("Kind", bound=Condition)


def sentences(report: Report, figures: Figures) -> list[str]:
    """Return the verdict, one statement in each sentence."""
    conditions = report.battery.conditions if report.battery else ()
    images = "these images" if report.caveat else "new images like these"
    statements = [_caveat(report), _accuracy(figures, images), _referral(figures), _probabilities(figures)]
    statements += [_classes(figures.classes), _not_for(figures, conditions)]
    return [statement for statement in statements if statement]


def _caveat(report: Report) -> str | None:
    return f"Not a fair test: {report.caveat}." if report.caveat else None


def _accuracy(figures: Figures, images: str) -> str:
    right = figures.right
    name, largest = max(((entry.name, entry.images) for entry in figures.classes), key=lambda pair: pair[1])
    if right.low <= largest / right.total:
        return (
            f"Not shown to be of use: right on {portion(right)} of {plural(right.total, 'test image')} "
            f"({reach(right)}), where always answering “{name}” is right on {100 * largest / right.total:.0f} %."
        )
    if right.high - right.low > MAX_WIDTH:
        return (
            f"Too few test images to say more than: right on {right.count} of {right.total}, so on at least "
            f"{100 * right.low:.0f} % of {images}."
        )
    start = "Wrong on most images: right on" if right.high < 0.5 else "Right on"
    return f"{start} {portion(right)} of {images} ({reach(right)})."


def _referral(figures: Figures) -> str | None:
    referral = figures.referral
    if referral is None:
        return "Refers nothing to a person: the card has no uncertainty."
    policy = referral.policy
    if referral.help == "helps" and policy.accuracy is not None:
        return (
            f"With {portion(policy.referred)} referred to a person, {portion(policy.accuracy)} of the rest are right "
            f"({reach(policy.accuracy)})."
        )
    return {
        "does not help": "Referral finds no more of its mistakes than chance.",
        "refers nothing": "Refers no test image to a person.",
        "cannot be shown": "Too few mistakes to show whether referral finds them.",
        "helps": None,
    }[referral.help]


def _probabilities(figures: Figures) -> str | None:
    after = figures.after
    if not after.is_off:
        return None
    interval = f"{100 * after.ece_low:.1f} to {100 * after.ece_high:.1f}"
    return f"Its probabilities are off by {100 * after.ece:.1f} points on average ({interval}), beyond chance."


def _classes(classes: Iterable[ClassFigures]) -> str | None:
    weak = sorted(
        (entry.recall.value, f"“{entry.name}” ({portion(entry.recall)} recognized)")
        for entry in classes
        if entry.recall is not None and entry.recall.high < MAX_RECALL
    )
    return f"Weak on {_listed([text for _, text in weak])}." if weak else None


def accepted_wrongly(figures: Figures, conditions: Iterable[Kind]) -> list[Kind]:
    """Return the kinds of images that are often accepted and wrong, the worst first."""
    harms = [(_harm(figures, condition), condition) for condition in conditions]
    ordered = sorted(harms, key=lambda pair: -pair[0])
    return [condition for harm, condition in ordered if harm >= MIN_HARM]


def _harm(figures: Figures, condition: Condition) -> float:
    """Return the share of the images that is accepted and wrong; 0 if the accepted ones may be right as usual."""
    accepted, right = condition.accepted, condition.right_accepted
    if accepted is None:
        return 0.0
    if condition.is_foreign:
        return accepted.value
    if right is None or right.high >= figures.right.low:
        return 0.0
    return accepted.value * (1 - right.value)


def _not_for(figures: Figures, conditions: Sequence[Condition]) -> str | None:
    judged = [condition for condition in conditions if condition.accepted is not None]
    if not judged:
        return None
    warnings = accepted_wrongly(figures, judged)
    if not warnings:
        return f"None of {len(judged)} kinds of changed and foreign images is shown to be often accepted and wrong."
    return f"Not for: {_listed([_warning(condition) for condition in warnings])}."


def _warning(condition: Condition) -> str:
    if condition.right_accepted is None:
        return f"{condition.title} ({portion(condition.accepted)} accepted)" if condition.accepted else condition.title
    return f"{condition.title} images ({portion(condition.right_accepted)} of the accepted are right)"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - MAX_WARNINGS
    return ", ".join(texts[:MAX_WARNINGS]) + (f" and {more} more" if more > 0 else "")
