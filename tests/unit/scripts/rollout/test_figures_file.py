from __future__ import annotations

from pathlib import Path

from scripts.rollout.figures_file import FiguresFile
from serving.rollout.record import FIGURES
from tests.support import rollout_records


def test_lines_that_were_added_are_read_once(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    file = FiguresFile(recorder.record.folder / FIGURES)
    file.update()
    file.update()
    assert [(stage.phase, stage.candidate.requests) for stage in file.stages] == [
        ("shadow", 0),
        ("canary", 10),
        ("canary", 40),
    ]
    assert len(file.recent) == 6
    recorder.figures(130, {"requests": 400}, {"requests": 60})
    file.update()
    assert file.stages[-1].candidate.requests == 60


def test_rate_is_that_of_the_current_stage(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    file = FiguresFile(recorder.record.folder / FIGURES)
    assert file.rate() is None
    file.update()
    assert file.rate() == 39 / 19


def test_line_that_is_written_just_now_waits(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    path = recorder.record.folder / FIGURES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:30])
    file = FiguresFile(path)
    file.update()
    assert file.stages[-1].candidate.requests == 1
    path.write_bytes(b"".join(lines))
    file.update()
    assert file.stages[-1].candidate.requests == 40


def test_damaged_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / FIGURES
    path.write_bytes(b'{"time"\n[1]\n\xff\n')
    file = FiguresFile(path)
    file.update()
    assert file.stages == []


def test_missing_file_has_no_figures(tmp_path: Path) -> None:
    file = FiguresFile(tmp_path / FIGURES)
    file.update()
    assert (file.stages, file.rate()) == ([], None)
