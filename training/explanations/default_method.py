"""Choice of the default method of a release, and its entry in the card."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from models.card import FILE_NAME, Card
from training.explanations import bootstrap
from training.explanations.bootstrap import Mean
from training.explanations.figures import ExplanationFigures, MethodFigures

DIGITS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """The default method, and what it was chosen from.

    Attributes:
        method: the default method.
        best: the candidate with the largest gap.
        behind: gap of `best` minus gap of `method`, image by image, with its 95 % interval.
        similar: candidates whose gap is not significantly below that of `best`.
        group: name of the candidates.
    """

    method: MethodFigures
    best: MethodFigures
    behind: Mean
    similar: tuple[MethodFigures, ...]
    group: str

    @property
    def reason(self) -> str:
        """Return why this method is the default, as a clause."""
        complete = "no complete method is as faithful"
        if self.method.is_complete:
            complete = f"it is complete for {self.method.completeness:.0%} of the images"
        gap = f"its gap, {self.method.gap.value:.3f}, is "
        if self.method == self.best:
            gap += f"the best of {self.group}"
        else:
            gap += (
                f"not significantly below the best of {self.group} ({self.best.name}, {self.best.gap.value:.3f}; "
                f"difference {self.behind.value:.3f}, 95 % interval {self.behind.low:.3f} to {self.behind.high:.3f})"
            )
        rivals = sum(method.is_complete == self.method.is_complete for method in self.similar)
        cheapest = "" if rivals == 1 else f", and it needs the fewest passes of {rivals} such methods"
        return f"{complete}; {gap}{cheapest}"


def choose(figures: ExplanationFigures) -> Choice:
    """Choose a complete method whose gap is not significantly below the best; of several, the one with fewest passes.

    Candidates are the methods that pass the checks. If there are none, all methods are candidates, and the conclusions
    say so. A gap is significantly below the best if the bootstrap interval of the difference, image by image, is above
    0. If no complete method is that good, the others are taken. Passes are the same on all machines, unlike times.
    """
    passing = tuple(method for method in figures.methods if method.passes_checks)
    candidates, group = (passing, "the methods that pass the checks") if passing else (figures.methods, "all methods")
    best = max(candidates, key=lambda method: method.gap.value)
    similar = tuple(method for method in candidates if _behind(best, method).low <= 0)
    complete: Sequence[MethodFigures] = [method for method in similar if method.is_complete] or similar
    method = min(complete, key=lambda method: (method.passes, -method.gap.value))
    return Choice(method, best, _behind(best, method), similar, group)


def _behind(best: MethodFigures, method: MethodFigures) -> Mean:
    return bootstrap.mean(torch.tensor(best.gaps) - torch.tensor(method.gaps))


def write_to_card(folder: Path, figures: ExplanationFigures, layer: str | None) -> Card:
    """Write the default method and the gaps of all methods into the card of a release; return the new card.

    Args:
        folder: folder of the release.
        layer: the layer that class activation maps were taken from.

    Raises:
        OSError: the card cannot be written; the old card is unchanged.
    """
    card = Card.load(folder)
    gaps = {method.name: round(method.gap.value, DIGITS) for method in figures.methods}
    changes = {"method": choose(figures).method.name, "faithfulness": gaps, "layer": layer}
    card = card.model_copy(update={"explanations": card.explanations.model_copy(update=changes)})
    with tempfile.TemporaryDirectory(prefix=".card-", dir=folder) as draft:
        card.save(draft)
        (Path(draft) / FILE_NAME).rename(folder / FILE_NAME)
    return card
