"""engines.html, engines.json and engines.png: quality and speed of each compiled engine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from handlers.engines import EAGER
from models.card import Compiled, EngineQuality
from training.compile import gate, timing
from training.compile.figures import Optimized
from training.report import page
from training.report.style import BLUE, GRAY, INK, PALE, picture

FILE_NAME, FIGURES, PICTURE = "engines.html", "engines.json", "engines.png"
TEMPLATE = "engines.html.jinja"
# Placeholder for the link in report.html.
MARK = "<!-- engines.html -->"
LINK = f'<p><a href="{FILE_NAME}">Engines: speed and quality of its compiled programs</a>.</p>'


def write(folder: Path, result: Optimized) -> None:
    """Write all three into `folder`, which is made if need be.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(json.dumps(document(result), indent=1) + "\n", encoding="utf-8")
    measured = [(entry, entry.quality) for entry in result.card.engines if entry.quality is not None]
    if measured:
        draw(folder / PICTURE, measured)
    text = page.template(TEMPLATE, Path(__file__).parent).render(
        card=result.card,
        found=result,
        measured=measured,
        eager=EAGER,
        chart=page.inlined(folder / PICTURE) if measured else None,
        gate=gate,
        batch=timing.BATCH,
    )
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def link(folder: Path) -> None:
    """Link the page from the report.html that lies beside it, where there is one."""
    report = folder / page.FILE_NAME
    if report.exists():
        report.write_text(report.read_text(encoding="utf-8").replace(MARK, LINK), encoding="utf-8")


def document(result: Optimized) -> dict[str, Any]:
    """Return the content of engines.json.

    It has the model, the card's entry of each engine, the figures on the test split, the skipped engines, and the
    limits of the gate.
    """
    return {
        "model": result.card.name,
        "version": result.card.version,
        "data": result.data,
        "engines": [entry.model_dump(mode="json") for entry in result.card.engines],
        "test": {name: asdict(figures) for name, figures in result.tested.items()},
        "skipped": result.skipped,
        "limits": {
            "accuracy": gate.ACCURACY,
            "agreement": gate.AGREEMENT,
            "calibration_error": gate.CALIBRATION,
            "coverage": gate.COVERAGE,
        },
    }


def draw(path: Path, measured: list[tuple[Compiled, EngineQuality]]) -> None:
    """Draw the milliseconds per image of each engine, the fastest first, then of the eager network."""
    bars = []
    for device in dict.fromkeys(entry.device for entry, _ in measured):
        own = [(entry, quality) for entry, quality in measured if entry.device == device]
        for entry, quality in own:
            faster = f"{quality.milliseconds_float32 / quality.milliseconds:.1f} x"
            label = f"{quality.milliseconds:.3g} ms, {faster}" + (", rejected" if entry.rejection else "")
            bars.append((entry.name, quality.milliseconds, PALE if entry.rejection else BLUE, label))
        float32 = own[0][1].milliseconds_float32
        bars.append((f"{device}, {EAGER}", float32, GRAY, f"{float32:.3g} ms"))
    with picture(path, 7.5, 1.0 + 0.36 * len(bars)) as figure:
        axes = figure.subplots()
        for index, (_, value, color, label) in enumerate(reversed(bars)):
            axes.barh(index, value, color=color, height=0.7)
            axes.annotate(label, (value, index), (4, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(bars)), [name for name, *_ in reversed(bars)])
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.3 * max(value for _, value, *_ in bars))
        axes.set_xlabel("milliseconds per image")
