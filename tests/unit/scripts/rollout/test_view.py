from __future__ import annotations

import io
import json
import os
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from scripts.rollout import view
from serving.errors import ConfigError
from serving.rollout import report
from serving.rollout.phase import RolloutPhase
from serving.rollout.record import STATE, Record
from tests.support import rollout_records
from tests.support.rollout_records import Recorder


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "REFRESH_SECONDS", 0.0)


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)


def printed(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_live_view_ends_with_the_rollout(tmp_path: Path) -> None:
    recorder, screen, looks = rollout_records.until_canary(tmp_path), console(terminal=True), list[int]()

    def stop() -> bool:
        looks.append(1)
        if len(looks) == 2:
            recorder.enter(130, RolloutPhase.DONE)
            report.write(recorder.record, recorder.entries)
        return False

    assert view.live(recorder.record, stop, screen).phase is RolloutPhase.DONE
    assert "Running" in printed(screen)
    assert "Done" in printed(screen)
    # The path is in one piece, whatever the width of the terminal.
    assert printed(screen).endswith(f"report: {recorder.record.folder}/report.html\n")


def test_live_view_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    for terminal in (True, False):
        assert view.live(recorder.record, lambda: True, console(terminal=terminal)).phase is RolloutPhase.CANARY


def test_without_a_terminal_each_change_is_a_line(tmp_path: Path) -> None:
    recorder, screen, looks = rollout_records.until_canary(tmp_path), console(terminal=False), list[int]()

    def stop() -> bool:
        looks.append(1)
        if len(looks) == 3:
            recorder.pause(130, "by eve@lab")
        if len(looks) == 5:
            recorder.rollout.reason = "aborted by eve@lab"
            recorder.enter(130, RolloutPhase.ROLLED_BACK)
            report.write(recorder.record, recorder.entries)
        return False

    view.live(recorder.record, stop, screen)
    name = recorder.record.id
    assert printed(screen).splitlines() == [
        f"{name}: canary, share 5 %",
        f"{name}: canary, share 5 %, paused: by eve@lab",
        f"{name}: rolled back, share 5 %: aborted by eve@lab",
        f"report: {recorder.record.folder}/report.html",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_live_view_waits_for_the_report_of_the_end(tmp_path: Path, terminal: bool) -> None:
    recorder, screen = rollout_records.until_canary(tmp_path), console(terminal=terminal)
    os.utime(report.write(recorder.record, recorder.entries), (0, 0))
    recorder.enter(130, RolloutPhase.DONE)
    assert not recorder.record.has_current_report()
    writer = threading.Timer(0.5, report.write, (recorder.record, recorder.entries))
    writer.start()
    view.live(recorder.record, console=screen)
    assert recorder.record.has_current_report()
    assert "report: " in printed(screen)
    writer.join()


def test_old_rollout_without_a_report_is_shown_at_once(tmp_path: Path) -> None:
    recorder, screen = rollout_records.until_canary(tmp_path), console(terminal=False)
    recorder.enter(130, RolloutPhase.DONE)
    past = time.time() - 2 * view.REPORT_SECONDS
    os.utime(recorder.record.folder / STATE, (past, past))
    start = time.monotonic()
    view.live(recorder.record, console=screen)
    assert time.monotonic() - start < view.REPORT_SECONDS / 2
    assert "report: " not in printed(screen)


def test_text_has_state_figures_and_checks(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    lines = view.text(recorder.record).splitlines()
    assert lines[:3] == [
        "digits 1.0 -> 2.0: running (digits-2.0-20261130T100000)",
        "Version 2.0 of digits answers 5 % of the requests (step 2 of 4).",
        "Clients got 50 answers from version 2.0, without an error.",
    ]
    assert "requests: 40 of 100" in lines
    assert (
        "2.0 in this step: 40 requests, errors 0 (0 %), slow 2 (5 %), referred 0 (0 %), p50 20 ms, p95 20 ms, p99 20 ms"
        in lines
    )
    assert "check errors: no verdict: there are too few requests" in lines
    assert all(line.isascii() for line in lines)


def test_document_is_json_with_everything(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    document = json.loads(json.dumps(view.document(recorder.record)))
    assert (document["phase"], document["share"], document["status"]) == ("canary", 0.05, "Running")
    assert document["figures"]["candidate"]["requests"] == 40
    assert document["shadow"]["pairs"] == 300
    assert document["verdicts"]["canary_errors"]["outcome"] == "inconclusive"
    assert document["report"] is None


def test_figures_of_an_earlier_phase_or_step_are_not_shown(tmp_path: Path) -> None:
    recorder = rollout_records.until_canary(tmp_path)
    recorder.rollout.step, recorder.rollout.share = 2, 0.25
    recorder.enter(130, RolloutPhase.CANARY, share=0.25)
    assert view.document(recorder.record)["figures"] is None
    assert "requests: 0 of 100" in view.text(recorder.record)
    recorder.enter(130, RolloutPhase.PROMOTED)
    assert view.document(recorder.record)["figures"] is None


def test_history_has_a_line_for_each_rollout(tmp_path: Path) -> None:
    recorder = rollout_records.rolled_back(tmp_path)
    path = report.write(recorder.record, recorder.entries)
    head, row = view.history([recorder.record]).splitlines()
    assert head.split() == ["started", "model", "from", "to", "end", "took", "why", "report"]
    assert row.startswith(
        "2026-11-30 10:00:00 UTC  digits  1.0   2.0  rolled back  2 min 7 s  canary_errors: errors: c"
    )
    assert row.endswith(str(path))


def test_history_names_a_damaged_rollout(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    (recorder.record.folder / STATE).write_text("{")
    assert "damaged" in view.history([recorder.record])
    assert view.history([]) == "no rollout was started on this server"


def test_missing_rollout_is_an_error(tmp_path: Path) -> None:
    for show in (view.text, view.document, view.live):
        with pytest.raises(ConfigError, match="there is no rollout gone"):
            show(Record(tmp_path / "gone"))
