"""A report -> its folder: metrics.json, pictures, report.html."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from models.card import Card
from models.printable import printable
from training.metrics.advice import blind_spots
from training.metrics.figures import Figures, figures
from training.report import page, verdict
from training.report.pictures import confusion, curves, mistakes, ood, prediction_sets, referral, reliability
from training.report.report import Report

METRICS = "metrics.json"


def write(folder: Path, report: Report, derived: Figures | None = None) -> list[str]:
    """Write the report into `folder`, which is created if it does not exist. An older report is replaced.

    metrics.json holds what `document` returns. Without a history there is no curves.png. Without `uncertainty` in the
    card there are no prediction_sets.png, referral.png and ood.png. A plot that cannot be drawn is left out.

    Args:
        derived: figures of the report; None: they are derived here.

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
    derived = derived or figures(report.test, report.ood_data)
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
    if (of_referral := derived.referral) is not None:
        draws["referral.png"] = lambda path: referral.draw(path, derived, of_referral)
    if (ood_detection := derived.ood_detection) is not None and (scores := report.test.scores) is not None:
        draws["ood.png"] = lambda path: ood.draw(path, scores, ood_detection, report.ood_data)
    return draws


def document(report: Report, derived: Figures) -> dict[str, Any]:
    """Return the content of metrics.json.

    Shares are objects of value, low and high (the 95 % interval), count and total; losses are in nats; what is not
    known is null.

    - model, version, source: what answered which images; caveat: why the figures may be too good
    - images, accuracy, right (the same as a share), loss
    - verdict: sentences at the top of the page: what the model can be used for, and what not
    - before, after: quality of the probabilities without the temperature and as served: nll, brier, ece with its 95 %
      interval (ece_low, ece_high), and the ECE of a perfectly calibrated model on so many images (mean ece_calibrated,
      95 % quantile ece_calibrated_high)
    - change: nll after minus before, with its 95 % interval (low, high)
    - calibration: the card's temperature, and its evidence from the calibration split: images, mistakes, nll_raw,
      nll_cross_fitted, gain_error, verdict
    - reliability: of the predictions of each class: mean probability, share that is right, and a verdict if they differ
      by more than chance explains
    - prediction_sets: method, target with the 95 % range over calibration splits (target_low, target_high), expected
      (range on a test set of this size), coverage, mean_size, class_conditional, classes (coverage of each), sizes
      (size, images, coverage); no_sets_reason: why there are none
    - ood_detection: method, pixel_statistics, choice (share of the battery that each score detects), threshold, target
      and measured false_positive_rate, expected (range on a test set of this size), ood_data (a name), auroc, detected
    - decisions: accepted, accuracy (of what is accepted), reasons (number of referred images for each), details (number
      of images that are out of distribution by their colors, brightness, sharpness or content)
    - referral: risk-coverage curve: target (share to refer), policy and points (referred, accuracy of the others, share
      of the mistakes caught), p_value and help of the policy, aurc, aurc_random, aurc_best, curve_referred,
      curve_accuracy
    - battery: of each set name, title, images, accepted, right_accepted (right among accepted), accepted_wrong (of all
      images), accuracy, lost and gained (against the unchanged images), reasons and reason_details (of referred ones)
    - blind_spots: changes that cost accuracy: name, title, accuracy, unchanged (accuracy), accepted, switch (recipe
      value), is_on
    - classes: name, images, recall, precision, f1 of each; confusion: counts, row = labeled, column = answered
    - data: what the model was trained on, as in its card; data_warnings: sentences on what is wrong with it
    - cost, recipe, epochs: of the training
    """
    card = report.test.card
    spots = blind_spots(report.battery, card.input.size, report.recipe) if report.battery else ()
    return {
        "model": card.name,
        "version": card.version,
        "source": report.source,
        "caveat": report.caveat,
        "verdict": verdict.sentences(report, derived),
        **asdict(derived),
        "calibration": _calibration(card),
        "no_sets_reason": card.uncertainty.no_sets_reason if card.uncertainty else None,
        "battery": [asdict(entry) for entry in report.battery.sets] if report.battery else None,
        "blind_spots": [asdict(spot) for spot in spots],
        "data": card.data.model_dump(),
        "data_warnings": list(report.data_warnings),
        "cost": asdict(report.cost) if report.cost else None,
        "recipe": dict(report.recipe) if report.recipe else None,
        "epochs": [asdict(epoch) for epoch in report.history],
    }


def _calibration(card: Card) -> dict[str, Any] | None:
    rule = card.uncertainty
    if rule is None:
        return None
    return {"temperature": rule.temperature, **(rule.calibration.model_dump() if rule.calibration else {})}
