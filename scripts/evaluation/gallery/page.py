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
class ImageCard:
    """The card of an image on the page.

    Attributes:
        truth: the class that a folder of the image is named after; None without such a folder.
        decision: accept or refer; "" if the card of the model has no uncertainty.
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
        """Return whether the folder names another class than the prediction."""
        return self.truth is not None and self.truth != self.label


def write(out: Path, folder: Path, card: Card, method: str, entries: Sequence[Entry]) -> list[ImageCard]:
    """Write the page into `out`; return its cards."""
    cards = [_card(entry, entry.answer, card) for entry in entries if entry.answer is not None]
    text = template(TEMPLATE, Path(__file__).parent).render(
        folder=printable(folder),
        card=card,
        method=method,
        cards=cards,
        labels=[label for label in card.classes if any(image.label == label for image in cards)],
        decisions=sorted({image.decision for image in cards} - {""}),
        labeled=sum(image.truth is not None for image in cards),
        wrong=sum(image.wrong for image in cards),
        unread=[(printable(entry.image), entry.error) for entry in entries if entry.answer is None],
    )
    (out / FILE_NAME).write_text(text, encoding="utf-8")
    return cards


def truth(image: str, classes: Sequence[str]) -> str | None:
    """Return the class that the innermost folder of an image is named after; None without such a folder."""
    folders = reversed(PurePosixPath(image).parent.parts)
    return next((name for name in folders if name in classes), None)


def _card(entry: Entry, answer: dict[str, Any], card: Card) -> ImageCard:
    best = answer["predictions"][0]
    return ImageCard(
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
