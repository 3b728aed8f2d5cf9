"""The battery on the page of a report."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.colors import UNCERTAINTY, classifier, split
from tests.unit.training.metrics.test_battery import TRUSTING, figures_of
from tests.unit.training.report.test_report import Page
from training.evaluate import evaluate
from training.metrics import figures
from training.metrics.battery import measure_battery
from training.metrics.interval import share
from training.report import Report, page, verdict
from training.report.writing import METRICS, document

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
PICTURES = split(*([(RED, 0), (GREEN, 1), (BLUE, 2)] * 4))


def write(folder: Path, uncertainty: object, **more: object) -> Path:
    served = classifier(uncertainty)  # type: ignore[arg-type]
    battery = measure_battery(served, PICTURES, ("be<ads", PICTURES), count=12)
    test = evaluate(served, PICTURES)
    value = Report(test, PICTURES, "the test split", battery=battery, **more)  # type: ignore[arg-type]
    page.write(folder, value, figures(test))
    (folder / METRICS).write_text(json.dumps(document(value, figures(test))))
    return folder


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("battery"), TRUSTING)


def text(folder: Path) -> str:
    html = (folder / "report.html").read_text(encoding="utf-8")
    return " ".join(Page(html[html.index('<h2 id="battery">') : html.index("<h2>Data")]).text.split())


def metrics_json(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    return metrics


def test_page_names_what_the_model_accepts_while_it_is_wrong(trusting: Path) -> None:
    first = text(trusting).split("Keep such images away")[0]
    assert "Often accepted and wrong:" in first
    assert "inverted (100 % of the images)" in first
    assert "random pixels (100 % of the images)" in first
    assert "mirrored" not in first


def test_page_shows_an_example_of_each_set(trusting: Path) -> None:
    html = (trusting / "report.html").read_text(encoding="utf-8")
    for entry in metrics_json(trusting)["battery"]:
        assert f'alt="example: {entry["title"].replace("<", "&lt;")}"' in html
    assert "be<ads" in text(trusting)


def test_page_says_what_the_model_is_blind_to_and_which_switch_helps(trusting: Path) -> None:
    blind = text(trusting).split("What the model is blind to")[1]
    assert "--set augmentation.invert=0.2" in blind
    assert "a mirrored b is a d" in blind
    assert re.search(
        r"inverted 0 % 0\.0 to \d+\.\d % 100 % 100 % --set augmentation\.invert", blind.replace("\xa0", " ")
    )
    assert "augmentation.flip" not in blind


def test_switch_that_is_on_is_not_advised_again(tmp_path: Path) -> None:
    folder = write(tmp_path, TRUSTING, recipe={"augmentation": {"invert": 0.2}})
    assert "augmentation.invert is on and does not suffice" in text(folder)


def test_metrics_json_has_the_battery_and_the_blind_spots(trusting: Path) -> None:
    metrics = metrics_json(trusting)
    sets = {entry["name"]: entry for entry in metrics["battery"]}
    assert sets["inverted"]["accuracy"]["count"] == 0
    assert sets["noise"]["accepted_wrong"]["value"] == 1
    assert metrics["blind_spots"][0]["name"] == "inverted"


def test_page_of_a_careful_model_names_no_set(tmp_path: Path) -> None:
    strict = UNCERTAINTY.model_copy(update={"ood": UNCERTAINTY.ood.model_copy(update={"threshold": -1e6})})
    assert "No set is shown to be often accepted and wrong." in text(write(tmp_path, strict))


def test_page_without_uncertainty_has_accuracies_only(tmp_path: Path) -> None:
    folder = write(tmp_path, None)
    shown = Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "accuracy of all" in shown
    assert "right among accepted" not in shown
    assert "accepted and wrong" not in shown


def test_verdict_warns_of_what_is_often_accepted_and_wrong(trusting: Path) -> None:
    sentence = metrics_json(trusting)["verdict"][-1]
    assert sentence.startswith("Not for: ")
    assert "inverted images (0 % of the accepted are right)" in sentence or "more" in sentence


def test_changes_that_cost_less_than_they_may_by_chance_are_no_warning() -> None:
    derived = figures(evaluate(classifier(TRUSTING), PICTURES))
    half = dataclasses.replace(figures_of("gray", 0, 0), right_accepted=share(50, 100))
    nearly = dataclasses.replace(figures_of("blurred", 0, 0), right_accepted=share(99, 100))
    foreign = dataclasses.replace(figures_of("noise", 0, 0), accuracy=None, accepted=share(60, 100))
    rare = dataclasses.replace(figures_of("photos", 0, 0), accuracy=None, accepted=share(9, 100))
    ordered = verdict.accepted_wrongly(derived, [nearly, half, rare, foreign])
    assert [entry.name for entry in ordered] == ["noise", "gray"]
