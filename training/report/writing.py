"""A report -> its folder: metrics.json, pictures, report.html."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from models.printable import printable
from training.metrics.figures import Figures, figures
from training.report import page
from training.report.pictures import confusion, curves, mistakes, ood, prediction_sets, reliability
from training.report.report import Report

METRICS = "metrics.json"


def write(folder: Path, report: Report) -> list[str]:
    """Write the report into `folder`, which is created if it does not exist. An older report is replaced.

    metrics.json holds what `document` returns. Without a history there is no curves.png. Without `uncertainty` in the
    card there are no prediction_sets.png and ood.png. A plot that cannot be drawn is left out.

    Returns:
        A sentence for each plot that could not be drawn.

    Raises:
        OSError: metrics.json or report.html cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if report.recipe:
        # Paths in the recipe may contain bytes that are not Unicode. JSON and HTML must be Unicode.
        paths = {key: printable(str(report.recipe[key])) for key in ("data", "weights") if report.recipe.get(key)}
        report = replace(report, recipe={**report.recipe, **paths})
    derived = figures(report.test, report.ood_data)
    # One line for each member: a confusion matrix of 1,000 classes has a million numbers.
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document(report, derived).items()]
    (folder / METRICS).write_text("{\n" + ",\n".join(members) + "\n}\n", encoding="utf-8")
    for name in page.PICTURES:
        (folder / name).unlink(missing_ok=True)
    problems = []
    for name, draw in _pictures(report, derived).items():
        try:
            draw(folder / name)
        except Exception as error:  # missing fonts or images, or a name that cannot be drawn
            (folder / name).unlink(missing_ok=True)
            what = f"{type(error).__name__}: {printable(str(error))}"
            problems.append(f"{name} of the report could not be drawn ({what})")
    page.write(folder, report, derived)
    return problems


def _pictures(report: Report, derived: Figures) -> dict[str, Callable[[Path], None]]:
    """Return the functions that draw the pictures, by file name."""
    draws: dict[str, Callable[[Path], None]] = {
        "confusion.png": lambda path: confusion.draw(path, derived),
        "mistakes.png": lambda path: mistakes.draw(path, report.test, report.pictures),
        "reliability.png": lambda path: reliability.draw(path, report.test, derived),
    }
    if report.history:
        draws["curves.png"] = lambda path: curves.draw(path, report.history)
    if (of_sets := derived.prediction_sets) is not None:
        draws["prediction_sets.png"] = lambda path: prediction_sets.draw(path, derived, of_sets)
    if (ood_detection := derived.ood_detection) is not None and (scores := report.test.scores) is not None:
        draws["ood.png"] = lambda path: ood.draw(path, scores, ood_detection, report.ood_data)
    return draws


def document(report: Report, derived: Figures) -> dict[str, Any]:
    """Return the content of metrics.json.

    Shares are objects of value, low and high (the 95 % interval), count and total; losses are in nats; what is not
    known is null.

    - model, version, source: what answered which images
    - images, accuracy, right (the same as a share), loss
    - before, after: nll, ece, brier, without the temperature and as served
    - prediction_sets: method, target, coverage, mean_size, classes (coverage of each), sizes (size, images, coverage)
    - ood_detection: method, threshold, target and measured false_positive_rate, ood_data (a name), auroc, detected
    - decisions: accepted, accuracy (of what is accepted), reasons (how many are referred for each)
    - classes: name, images, recall, precision, f1 of each; confusion: counts, row = labeled, column = answered
    - data: what the model was trained on, as in its card; data_warnings: sentences on what is wrong with it
    - cost, recipe, epochs: of the training
    """
    card = report.test.card
    return {
        "model": card.name,
        "version": card.version,
        "source": report.source,
        **asdict(derived),
        "data": card.data.model_dump(),
        "data_warnings": list(report.data_warnings),
        "cost": asdict(report.cost) if report.cost else None,
        "recipe": dict(report.recipe) if report.recipe else None,
        "epochs": [asdict(epoch) for epoch in report.history],
    }
