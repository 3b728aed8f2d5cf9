"""Damaged and missing parts of a record are named, and hide nothing else."""

from __future__ import annotations

from pathlib import Path

from serving.rollout.record import FIGURES, STATE, VERDICTS
from serving.rollout.report import evidence
from tests.support import rollout_records
from tests.support.rollout_records import time


def test_whole_record_has_no_problems(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    parts = evidence.collect(recorder.record, recorder.entries)
    assert parts.problems == []
    assert (len(parts.moments), len(parts.verdicts), parts.summary) == (7, 14, rollout_records.SUMMARY)


def test_missing_files_are_no_problem(tmp_path: Path) -> None:
    recorder = rollout_records.Recorder(tmp_path)
    parts = evidence.collect(recorder.record, [])
    assert (parts.problems, parts.moments, parts.verdicts, parts.summary) == ([], [], [], None)


def test_damaged_state_leaves_the_rest(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    (recorder.record.folder / STATE).write_text('{"phase": "canary"')
    parts = evidence.collect(recorder.record, recorder.entries)
    assert parts.rollout is None
    assert "The state of the rollout cannot be read" in parts.problems[0]
    assert (len(parts.moments), len(parts.entries)) == (7, len(recorder.entries))


def test_damaged_lines_are_counted_or_passed_over(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    with (recorder.record.folder / VERDICTS).open("a") as file:
        file.write('{"check": "golden"}\n{"check": "gold')
    with (recorder.record.folder / FIGURES).open("ab") as file:
        file.write(b'\xff\xfe\n{"time": 3}\n[]\n')
    parts = evidence.collect(recorder.record, recorder.entries)
    assert parts.problems == ["verdicts.jsonl: 1 line is damaged"]
    assert (len(parts.moments), len(parts.verdicts)) == (7, 14)


def test_damaged_summary_is_named(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    for content in ('{"pairs": "many"}', "{"):
        (recorder.record.folder / evidence.SUMMARY_PATH).write_text(content)
        parts = evidence.collect(recorder.record, recorder.entries)
        assert parts.summary is None
        assert [problem for problem in parts.problems if problem.startswith("shadow/summary.json ")]


def test_journal_has_this_rollout_and_commands_that_ran_meanwhile(tmp_path: Path) -> None:
    recorder = rollout_records.done(tmp_path)
    other = {"run": "77", "command": "register", "model": "digits", "version": "2.0", "step": "done"}
    meanwhile, before, after = (other | {"time": time(second)} for second in (5, -5, 9999))
    cells = other | {"model": "cells", "time": time(5)}
    damaged = other | {"time": 7}
    parts = evidence.collect(recorder.record, [*recorder.entries, meanwhile, before, after, cells, damaged])
    assert parts.entries == [*recorder.entries, meanwhile]
