"""explanations.html and explanations.json: figures and examples of each attribution method of a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from handlers.explain.evidence.faithfulness import MAX_START_PROBABILITY
from models.card import Card
from training.explanations.conclusions import conclusions
from training.explanations.default_method import choose
from training.explanations.figures import HIGH_UNSIGNED, MAX_RANDOMIZATION, MIN_COMPLETENESS, ExplanationFigures
from training.explanations.randomization_test import NETWORKS
from training.explanations.remove_and_debias import SHARES
from training.explanations.stability import COPIES, NOISE
from training.report import page
from training.report.gallery import GalleryRow
from training.report.pictures import gaps

FILE_NAME, FIGURES, PICTURE = "explanations.html", "explanations.json", "gaps.png"
TEMPLATE = "explanations.html.jinja"
# Placeholder for the link in report.html.
MARK = "<!-- explanations.html -->"
LINK = f'<p><a href="{FILE_NAME}">Explanations: how faithful they are to the model</a>.</p>'


def write(folder: Path, card: Card, source: str, figures: ExplanationFigures, gallery: Sequence[GalleryRow]) -> None:
    """Write both files and gaps.png into `folder`, and link them from its report.html.

    Args:
        source: source of the images, such as "the test split of digits".

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = document(card, source, figures)
    (folder / FIGURES).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    gaps.draw(folder / PICTURE, figures, content["default"])
    text = page.template(TEMPLATE).render(
        card=card,
        source=source,
        figures=figures,
        methods=sorted(figures.methods, key=lambda method: -method.gap.value),
        default=content["default"],
        conclusions=content["conclusions"],
        chart=page.inlined(folder / PICTURE),
        gallery=gallery,
        url=_url,
        max_randomization=MAX_RANDOMIZATION,
        high_unsigned=HIGH_UNSIGNED,
        max_start=MAX_START_PROBABILITY,
        min_completeness=MIN_COMPLETENESS,
        networks=NETWORKS,
        shares=SHARES,
        copies=COPIES,
        noise=NOISE,
    )
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    report = folder / page.FILE_NAME
    if report.exists():
        report.write_text(report.read_text(encoding="utf-8").replace(MARK, LINK), encoding="utf-8")


def document(card: Card, source: str, figures: ExplanationFigures) -> dict[str, Any]:
    """Return the content of explanations.json: model, default method, conclusions, and the figures of each method."""
    return {
        "model": card.name,
        "version": card.version,
        "source": source,
        "default": choose(figures).method.name,
        "conclusions": conclusions(figures),
        **asdict(figures),
    }


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
