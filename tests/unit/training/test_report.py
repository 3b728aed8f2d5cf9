from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from training import report
from training.evaluate import Evaluation
from training.loop import Epoch, Settings


@pytest.mark.parametrize("classes", [("cat", "dog"), tuple(f"a class with a long name, {n}" for n in range(30))])
def test_figures_and_pictures_are_written_without_a_warning(tmp_path: Path, classes: tuple[str, ...]) -> None:
    count = len(classes)
    confusion = torch.eye(count, dtype=torch.int64) * 9
    confusion[0, 1] = 1
    confusion[1, 1] = 0  # a class that is not in the test split has an empty row
    history = [Epoch(0.5, 0.8, 0.6, 0.7, 1.0), Epoch(0.2, 0.9, 0.3, 0.85, 1.1)]
    report.write(tmp_path / "report", Settings(epochs=2), history, Evaluation(0.9, 0.25, confusion), classes)
    document = json.loads((tmp_path / "report" / "metrics.json").read_text(encoding="utf-8"))
    assert (document["accuracy"], document["loss"]) == (0.9, 0.25)
    assert document["confusion"] == confusion.tolist()
    assert document["settings"]["epochs"] == 2
    assert [epoch["calibration_accuracy"] for epoch in document["epochs"]] == [0.7, 0.85]
    for name in ("curves.png", "confusion.png"):
        with Image.open(tmp_path / "report" / name) as picture:
            assert min(picture.size) > 250
