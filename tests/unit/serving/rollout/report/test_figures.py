from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.rollout.phase import RolloutPhase
from serving.rollout.report import figures
from serving.rollout.report.figures import ArmFigures
from tests.support import rollout_records
from tests.support.rollout_records import time


def test_totals_are_sums_over_stages(tmp_path: Path) -> None:
    moments = figures.parse_all(rollout_records.done(tmp_path).record.figures())
    stable, candidate = figures.total(moments, RolloutPhase.CANARY, RolloutPhase.BAKING)
    assert stable == ArmFigures(requests=990 + 380, errors=1, slow=50 + 20)
    assert candidate == ArmFigures(requests=10 + 40 + 4800, errors=2, slow=2 + 240)


def test_stages_end_with_the_share(tmp_path: Path) -> None:
    moments = figures.parse_all(rollout_records.done(tmp_path).record.figures())
    assert [(stage.phase, stage.share) for stage in figures.stages(moments)] == [
        ("shadow", 0.0),
        ("canary", 0.01),
        ("canary", 0.05),
        ("baking", 1.0),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"time": "yesterday", "share": 0.1},
        {"time": "2026-11-30T10:00:00", "share": 0.1},
        {"time": time(1)},
        {"time": time(1), "share": "a lot"},
        {"time": time(1), "share": True},
    ],
)
def test_entry_without_time_or_share_is_left_out(entry: dict[str, Any]) -> None:
    assert figures.parse_all([entry]) == []


def test_damaged_figures_count_nothing() -> None:
    entry = {
        "time": time(1),
        "share": 0.1,
        "step": "x",
        "stable": [],
        "candidate": {"requests": "9", "p95": float("nan")},
    }
    moment = figures.parse(entry)
    assert moment is not None
    assert (moment.step, moment.stable, moment.candidate) == (0, ArmFigures(), ArmFigures())
