"""report.html: the figures and pictures on one page that needs no other file, to read, to print, to keep."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from PIL import Image

from training.metrics.advice import blind_spots
from training.metrics.calibration import BINS, FEW, ClassReliability
from training.metrics.figures import ClassFigures, Figures
from training.metrics.referral import SHARES
from training.report import battery, verdict, words
from training.report.pictures.confusion import MAX_CLASSES, pairs
from training.report.report import Report
from training.report.sentences import calibration, ood, prediction_sets, referral, training
from training.report.style import DPI

FILE_NAME = "report.html"
PICTURES = (
    "curves.png",
    "confusion.png",
    "mistakes.png",
    "reliability.png",
    "prediction_sets.png",
    "referral.png",
    "ood.png",
)
# Rows of the table of classes; of more classes those found least come first, and the rest in a second table.
MAX_ROWS = 60
TEMPLATE = "page.html.jinja"
FOLDER = Path(__file__).parent


def write(folder: Path, report: Report, figures: Figures) -> None:
    """Write report.html into `folder`, with the pictures that are there."""
    rows, reliability = _rows(figures), _reliability(figures)
    text = template(TEMPLATE).render(
        report=report,
        card=report.test.card,
        uncertainty=report.test.card.uncertainty,
        found=figures,
        rows=rows[:MAX_ROWS],
        others=rows[MAX_ROWS:],
        reliability=reliability[:MAX_ROWS],
        other_reliability=reliability[MAX_ROWS:],
        shares=SHARES,
        **_sentences(report, figures),
        pictures={name: inlined(folder / name) for name in PICTURES if (folder / name).exists()},
        recipe=yaml.safe_dump(dict(report.recipe), sort_keys=False, allow_unicode=True) if report.recipe else None,
        many=len(figures.classes) > MAX_CLASSES,
        pairs=pairs(figures, 5),
        bins=BINS,
        few=FEW,
        **_battery(report, figures),
    )
    # A line must not break between a number and its unit.
    text = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def template(name: str, folder: Path = FOLDER) -> Template:
    """Return a template of a folder, with the filters of words.py. It may include style.css from this folder."""
    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,  # a class may be called <script>
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=words.percent,
        portion=words.portion,
        counted=words.counted,
        reach=words.reach,
        plain=words.plain,
        quantity=words.quantity,
        time=words.time,
    )
    return environment.get_template(name)


def _rows(figures: Figures) -> list[ClassFigures]:
    """Return the classes in the card's order. Many classes are sorted by recall, those without images last."""
    if len(figures.classes) <= MAX_ROWS:
        return list(figures.classes)
    return sorted(figures.classes, key=lambda entry: entry.recall.value if entry.recall else 2.0)


def _reliability(figures: Figures) -> list[ClassReliability]:
    """Return the classes in the card's order. Many classes are sorted by the difference, the largest first."""
    rows = list(figures.reliability)
    if len(rows) <= MAX_ROWS:
        return rows

    def key(row: ClassReliability) -> tuple[bool, float]:
        if row.right is None or row.probability is None:
            return True, 1.0
        return row.verdict is None, -abs(row.probability - row.right.value)

    return sorted(rows, key=key)


def _sentences(report: Report, figures: Figures) -> dict[str, Any]:
    """Return the sentences of the page that depend on its figures."""
    rule, sets, detection = report.test.card.uncertainty, figures.prediction_sets, figures.ood_detection
    settings = (report.recipe or {}).get("uncertainty", {})
    return {
        "verdict": verdict.sentences(report, figures),
        # A temperature of 1 changes nothing, so there is no before and after.
        "changed": rule is not None and rule.temperature != 1,
        "evidence": calibration.evidence(rule) if rule else None,
        "calibration_check": calibration.check(figures.after, figures.images),
        "worse": calibration.worse(figures),
        "coverage_sentence": prediction_sets.coverage(sets, settings.get("coverage")) if sets else None,
        "set_information": prediction_sets.information(sets) if sets else None,
        "referral_effect": referral.effect(figures) if figures.referral else None,
        "referral_words": referral.short(figures) if figures.referral else None,
        "referral_area": referral.area(figures.referral) if figures.referral else None,
        "details": referral.details(figures.decisions) if figures.decisions else None,
        "false_alarms": ood.false_alarms(detection) if detection else None,
        "chosen_score": ood.chosen_score(detection, settings.get("ood")) if detection else None,
        "curves_sentence": training.curves(report.recipe, report.test.card.input),
    }


def _battery(report: Report, figures: Figures) -> dict[str, Any]:
    """Return what the page shows of the battery."""
    if report.battery is None:
        return {}
    return {
        "battery_rows": battery.rows(report.battery),
        "accepted_wrongly": verdict.accepted_wrongly(figures, report.battery.conditions),
        "blind_spots": blind_spots(report.battery, report.test.card.input.size, report.recipe),
    }


@dataclass(frozen=True, slots=True)
class Inlined:
    """A picture within the page, and its width in CSS pixels (96 per inch)."""

    url: str
    width: int


def inlined(path: Path) -> Inlined:
    """Return a picture of a report for its page."""
    content = path.read_bytes()
    with Image.open(path) as image:
        width = round(image.width * 96 / DPI)
    return Inlined("data:image/png;base64," + base64.b64encode(content).decode(), width)
