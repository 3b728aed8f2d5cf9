from __future__ import annotations

import datetime
from pathlib import Path

from serving.rollout.report import evidence, periods
from serving.rollout.report.evidence import Evidence
from serving.rollout.report.words import SPACE
from tests.support import rollout_records
from tests.support.rollout_records import Recorder


def collected(recorder: Recorder, *, journal: bool = True) -> Evidence:
    return evidence.collect(recorder.record, recorder.entries if journal else [])


def test_periods_are_the_times_between_transitions(tmp_path: Path) -> None:
    phases = periods.of(collected(rollout_records.done(tmp_path)))
    assert [(period.name.replace(SPACE, " "), period.seconds) for period in phases] == [
        ("check the archive", 1),
        ("load the workers", 7),
        ("warm up", 1),
        ("golden answers", 1),
        ("shadow", 30),
        ("canary 1 %", 60),
        ("canary 5 %", 20),
        ("promote", 1),
        ("baking", 240),
    ]


def test_without_a_journal_the_figures_give_the_periods(tmp_path: Path) -> None:
    phases = periods.of(collected(rollout_records.done(tmp_path), journal=False))
    assert [period.name.replace(SPACE, " ") for period in phases] == [
        "check the archive",
        "shadow",
        "canary 1 %",
        "canary 5 %",
        "baking",
    ]


def test_pause_counts_in_its_period_and_ends_with_the_next_transition(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.entries.insert(-1, recorder.entries[-1] | {"step": "paused", "time": rollout_records.time(70)})
    phases = periods.of(collected(recorder))
    assert [period.paused for period in phases if period.share == 0.01] == [30]
    assert [period.paused for period in phases if period.share == 0.05] == [0]


def test_running_rollout_lasts_until_now(tmp_path: Path) -> None:
    parts = collected(rollout_records.until_canary(tmp_path))
    assert periods.of(parts)[-1].end == parts.now


def test_clock_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    parts = collected(rollout_records.until_canary(tmp_path, start=future))
    assert periods.end_of(parts) - future.replace(microsecond=0) == datetime.timedelta(seconds=120)


def test_entries_of_other_rollouts_are_no_transitions(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    recorder.entries.append(recorder.entries[0] | {"run": "digits-3.0", "step": "rolling_back"})
    assert "roll back" not in [period.name for period in periods.of(collected(recorder))]
