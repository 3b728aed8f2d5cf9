"""index.html: the explained images of a folder as cards that can be sorted and filtered; opens without a server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from models.card import Card
from models.printable import printable
from scripts.evaluation.gallery.entry import Entry
from training.report.page import template

FILE_NAME = "index.html"
TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True)
class Shown:
    """A card of the page.

    Attributes:
        truth: the class that the image's folder is named as; None where it is named as none.
        decision: accept or refer; "" where the model has no uncertainty in its card.
    """

    name: str
    picture: str
    label: str
    probability: float
    truth: str | None
    decision: str
    reason: str
    sentence: str
    warnings: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        """Whether the folder says another class than the answer."""
        return self.truth is not None and self.truth != self.label


def write(out: Path, folder: Path, card: Card, method: str, entries: Sequence[Entry]) -> list[Shown]:
    """Write the page into `out`; returns what it shows."""
    shown = [_shown(entry, entry.answer, card) for entry in entries if entry.answer is not None]
    text = template(TEMPLATE, Path(__file__).parent).render(
        folder=printable(folder),
        card=card,
        method=method,
        shown=shown,
        labels=[label for label in card.classes if any(one.label == label for one in shown)],
        decisions=sorted({one.decision for one in shown} - {""}),
        told=sum(one.truth is not None for one in shown),
        wrong=sum(one.wrong for one in shown),
        unread=[(printable(entry.image), entry.error) for entry in entries if entry.answer is None],
    )
    (out / FILE_NAME).write_text(text, encoding="utf-8")
    return shown


def truth(image: str, classes: Sequence[str]) -> str | None:
    """The class that the innermost of an image's folders is named as, of those that are named as one."""
    folders = reversed(PurePosixPath(image).parent.parts)
    return next((name for name in folders if name in classes), None)


def _shown(entry: Entry, answer: dict[str, Any], card: Card) -> Shown:
    best = answer["predictions"][0]
    return Shown(
        name=printable(entry.image),
        picture=quote(os.fsencode(entry.overlay or "")),
        label=best["label"],
        probability=best["probability"],
        truth=truth(entry.image, card.classes),
        decision=answer.get("decision", ""),
        reason=(answer.get("reason") or "").replace("_", " "),
        sentence=answer["regions"]["sentence"],
        warnings=tuple(warning["message"] for warning in answer["warnings"]),
    )
