"""explanations.html and explanations.json: how good each attribution method is on a model, and what each shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.card import Card
from training.explanations.conclusions import findings
from training.explanations.default_method import choose
from training.explanations.figures import COMPLETE, LIKE, Measured
from training.explanations.randomization_test import NETWORKS
from training.explanations.road import SHARES
from training.explanations.stability import COPIES, NOISE
from training.report import page
from training.report.gallery import Row
from training.report.pictures import gaps

FILE_NAME, FIGURES, PICTURE = "explanations.html", "explanations.json", "gaps.png"
TEMPLATE = "explanations.html.jinja"
# What report.html has where the link belongs.
MARK = "<!-- explanations.html -->"
LINK = f'<p><a href="{FILE_NAME}">Why it answers so: how good its explanations are</a>.</p>'


def write(folder: Path, card: Card, source: str, measured: Measured, gallery: Sequence[Row]) -> None:
    """Write both files and gaps.png into `folder`, and link them from the report.html that lies there.

    Args:
        source: where the images are from, such as "the test split of digits".

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = document(card, source, measured)
    (folder / FIGURES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    gaps.draw(folder / PICTURE, measured, found["default"])
    text = page.template(TEMPLATE).render(
        card=card,
        source=source,
        measured=measured,
        methods=sorted(measured.methods, key=lambda one: -one.gap.value),
        chosen=found["default"],
        findings=found["findings"],
        chart=page.inlined(folder / PICTURE),
        gallery=gallery,
        url=_url,
        like=LIKE,
        complete=COMPLETE,
        networks=NETWORKS,
        shares=SHARES,
        copies=COPIES,
        noise=NOISE,
    )
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    report = folder / page.FILE_NAME
    if report.exists():
        report.write_text(report.read_text(encoding="utf-8").replace(MARK, LINK), encoding="utf-8")


def document(card: Card, source: str, measured: Measured) -> dict[str, Any]:
    """What explanations.json holds: the model, the default method, the findings, and all figures of every method."""
    return {
        "model": card.name,
        "version": card.version,
        "source": source,
        "default": choose(measured).name,
        "findings": findings(measured),
        **asdict(measured),
    }


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
