"""engines.html, engines.json and engines.png: what each compiled program keeps of the network, and what it saves."""

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
# What report.html has where the link belongs.
MARK = "<!-- engines.html -->"
LINK = f'<p><a href="{FILE_NAME}">How fast it is, and what its compiled programs keep</a>.</p>'


def write(folder: Path, found: Optimized) -> None:
    """Write all three into `folder`, which is made if need be.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(json.dumps(document(found), indent=1) + "\n", encoding="utf-8")
    measured = [(entry, entry.quality) for entry in found.card.engines if entry.quality is not None]
    if measured:
        draw(folder / PICTURE, measured)
    text = page.template(TEMPLATE).render(
        card=found.card,
        found=found,
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


def document(found: Optimized) -> dict[str, Any]:
    """What engines.json holds.

    The model, the card's entry of each engine, the figures on the test split, what was not tried and why, the limits
    of the gate.
    """
    return {
        "model": found.card.name,
        "version": found.card.version,
        "data": found.data,
        "engines": [entry.model_dump(mode="json") for entry in found.card.engines],
        "test": {name: asdict(one) for name, one in found.tested.items()},
        "left": found.left,
        "limits": {
            "accuracy": gate.ACCURACY,
            "agreement": gate.AGREEMENT,
            "calibration_error": gate.CALIBRATION,
            "coverage": gate.COVERAGE,
        },
    }


def draw(path: Path, measured: list[tuple[Compiled, EngineQuality]]) -> None:
    """A bar of milliseconds an image for each program, the fastest on top, below it the eager network of its device."""
    bars = []
    for device in dict.fromkeys(entry.device for entry, _ in measured):
        own = [(entry, kept) for entry, kept in measured if entry.device == device]
        for entry, kept in own:
            faster = f"{kept.milliseconds_float32 / kept.milliseconds:.1f} x"
            label = f"{kept.milliseconds:.3g} ms, {faster}" + (", kept out" if entry.rejection else "")
            bars.append((entry.name, kept.milliseconds, PALE if entry.rejection else BLUE, label))
        float32 = own[0][1].milliseconds_float32
        bars.append((f"{device}, {EAGER}", float32, GRAY, f"{float32:.3g} ms"))
    with picture(path, 7.5, 1.0 + 0.36 * len(bars)) as figure:
        axes = figure.subplots()
        for place, (_, value, color, label) in enumerate(reversed(bars)):
            axes.barh(place, value, color=color, height=0.7)
            axes.annotate(label, (value, place), (4, 0), textcoords="offset points", va="center", color=INK)
        axes.set_yticks(range(len(bars)), [name for name, *_ in reversed(bars)])
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.3 * max(value for _, value, *_ in bars))
        axes.set_xlabel("milliseconds an image")
