"""report.html: the figures and pictures on one page that needs no other file, to read, to print, to keep."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from PIL import Image

from training.metrics.figures import BINS, ClassFigures, Figures
from training.report import words
from training.report.pictures.confusion import MAX_CLASSES, pairs
from training.report.pictures.reliability import FEW
from training.report.report import Report
from training.report.style import DPI

FILE_NAME = "report.html"
PICTURES = ("curves.png", "confusion.png", "mistakes.png", "reliability.png", "prediction_sets.png", "ood.png")
# Rows of the table of classes; of more classes those found least come first, and the rest in a second table.
MAX_ROWS = 60
TEMPLATE = "page.html.jinja"
FOLDER = Path(__file__).parent


def write(folder: Path, report: Report, figures: Figures) -> None:
    """Write report.html into `folder`, with the pictures that are there."""
    rows = _rows(figures)
    text = template(TEMPLATE).render(
        report=report,
        card=report.test.card,
        uncertainty=report.test.card.uncertainty,
        found=figures,
        rows=rows[:MAX_ROWS],
        others=rows[MAX_ROWS:],
        pictures={name: inlined(folder / name) for name in PICTURES if (folder / name).exists()},
        recipe=yaml.safe_dump(dict(report.recipe), sort_keys=False, allow_unicode=True) if report.recipe else None,
        many=len(figures.classes) > MAX_CLASSES,
        pairs=pairs(figures, 5),
        bins=BINS,
        few=FEW,
    )
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
        percent=words.percent, reach=words.reach, plain=words.plain, quantity=words.quantity, time=words.time
    )
    return environment.get_template(name)


def _rows(figures: Figures) -> list[ClassFigures]:
    """Return the classes in the card's order. Many classes are sorted by recall, those without images last."""
    if len(figures.classes) <= MAX_ROWS:
        return list(figures.classes)
    return sorted(figures.classes, key=lambda entry: entry.recall.value if entry.recall else 2.0)


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
