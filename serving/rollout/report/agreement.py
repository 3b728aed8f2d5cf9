"""Agreement of both versions on copies of real requests: the matrix of labels, and what the counts mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serving.rollout.plan import Shadow
from serving.rollout.report import words
from serving.rollout.shadow.summary import ShadowSummary

# More labels do not fit on a page: then only the most frequent differences are listed.
MAX_LABELS = 12
MAX_DIFFERENCES = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix. `strength` is its share of the row, from 0 to 1."""

    images: int
    equal: bool
    strength: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Images with one label by the stable version and another by the candidate."""

    stable: str
    candidate: str
    images: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """The part of the page about labels.

    Attributes:
        labels: names of the rows and columns; empty if there are more than MAX_LABELS.
        rows: cells by the stable version's label, then by the candidate's.
        differences: the most frequent differences first, at most MAX_DIFFERENCES.
        left_out: number of further differences.
    """

    labels: list[str]
    rows: list[list[Cell]]
    differences: list[Difference]
    left_out: int

    @property
    def long(self) -> bool:
        """Return True if labels are too long to stand above their columns."""
        return any(len(label) > 4 for label in self.labels)


def agreement(summary: ShadowSummary) -> Agreement:
    """Return the matrix of labels and the list of differences."""
    counts = summary.labels
    labels = sorted({*counts, *(label for row in counts.values() for label in row)}, key=_natural)
    differences = [
        Difference(stable, candidate, images)
        for stable, row in counts.items()
        for candidate, images in row.items()
        if stable != candidate and images > 0
    ]
    differences.sort(key=lambda difference: (-difference.images, _natural(difference.stable)))
    rows = []
    if len(labels) <= MAX_LABELS:
        for stable in labels:
            row = counts.get(stable, {})
            images = max(1, sum(row.values()))
            rows.append(
                [Cell(row.get(label, 0), label == stable, round(row.get(label, 0) / images, 2)) for label in labels]
            )
    return Agreement(
        labels if rows else [],
        rows,
        differences[:MAX_DIFFERENCES],
        max(0, len(differences) - MAX_DIFFERENCES),
    )


def sentences(summary: ShadowSummary, plan: Shadow, stable: str, candidate: str) -> list[str]:
    """Return what the comparison shows, a sentence or two each."""
    result = []
    if summary.self_differences:
        result.append(
            f"Version {stable} did not repeat its own answers: {summary.self_differences} of "
            f"{words.number(summary.self_pairs, 'pair')} differ. Until that is explained, the comparison of both "
            "versions cannot be trusted."
        )
    elif summary.self_pairs:
        result.append(
            f"Version {stable} repeated its own answers ({words.number(summary.self_pairs, 'pair')}). So the "
            "differences below come from the versions, and not from chance."
        )
    if not summary.images:
        return [*result, "No answer of both versions was compared."]
    differing = summary.label_differences + summary.status_differences
    result.append(
        f"Both versions answered {words.number(summary.images, 'image')}. Of these, "
        f"{words.rate(differing, summary.images)} got another label or status; the plan allows "
        f"{words.percent(plan.max_differences)}."
    )
    if summary.stable_confidence is not None and summary.candidate_confidence is not None:
        result.append(
            "Real requests have no labels, so a difference does not say which version is right. The mean calibrated "
            f"probability of the labels is {words.percent(summary.stable_confidence)} for {stable} and "
            f"{words.percent(summary.candidate_confidence)} for {candidate}."
        )
    if summary.dropped:
        result.append(
            f"{words.number(summary.dropped, 'copy', 'copies')} beside these were dropped, because the comparison "
            "leaves most of the time to clients."
        )
    return result


def _natural(label: str) -> list[tuple[int, str]]:
    """Return a key that sorts `10` behind `9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", label) if part]
