from __future__ import annotations

import json
from pathlib import Path

from benchmarks.training import FOLDER, RUNS, rows
from models import documents
from tests.unit.training.report.models import RULE, evaluation
from training import report
from training.cost import Cost
from training.data.dataset import Split
from training.metrics import OodData
from training.report import Report


def metrics(folder: Path, rule: object) -> dict[str, object]:
    """Write a report of a model with 10 mistakes among 400 images, and return its metrics.json."""
    import numpy as np
    import torch

    test = evaluation(list(range(10)), 400, referred=tuple(range(8)), rule=rule)  # type: ignore[arg-type]
    pictures = Split([np.zeros((8, 8, 3), dtype=np.uint8)] * 400, test.labels.tolist())
    cost = Cost(1.0, 2.0, None, (), 5, 5, 5)
    ood_data = OodData("beads", torch.zeros(50, dtype=torch.float64))
    report.write(folder, Report(test, pictures, "the test split of pets", cost=cost, ood_data=ood_data))
    document: dict[str, object] = documents.read_json(folder / "metrics.json")
    assert json.dumps(document)
    return document


def test_table_has_the_figures_of_metrics_json(tmp_path: Path) -> None:
    table = rows(metrics(tmp_path, RULE), RUNS[0])
    for line in (
        "| accuracy | 97.50% (95.5% to 98.6%) | at least 71.0% |",
        "| coverage of the prediction sets (target 90.0%) | 97.50% (95.5% to 98.6%) | within 1 point |",
        "| referred predictions | 2.00% (1.0% to 3.9%) |  |",
        "| mistakes caught by referral | 80.00% (49.0% to 94.3%) |  |",
        "| accuracy of the accepted predictions | 99.49% (98.2% to 99.9%) |  |",
    ):
        assert line in table
    assert "ECE of a perfectly calibrated model, 95 % quantile" in table


def test_table_of_a_model_without_sets_has_the_reason(tmp_path: Path) -> None:
    policy = RULE.policy.model_copy(update={"max_set_size": None})
    rule = RULE.model_copy(update={"conformal": None, "no_sets_reason": "too few images", "policy": policy})
    assert "| prediction sets | none: too few images |  |" in rows(metrics(tmp_path, rule), FOLDER)
