"""The commands of `torchlight rollout` without a server: what they refuse, and what they list."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from scripts.cli import app
from scripts.rollout import __main__ as commands
from serving.errors import ServingError, StartError, VersionError
from serving.rollout import local, request_file
from serving.rollout import record as records
from serving.rollout.phase import RolloutPhase
from serving.rollout.plan import Plan
from serving.rollout.record import Record, Rollout
from serving.rollout.request_file import Action


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server on port 8080, in the current folder."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / ".run" / "8080"
    made.mkdir(parents=True, mode=0o700)
    return made


def stored(folder: Path, phase: RolloutPhase = RolloutPhase.CANARY, **changes: object) -> Record:
    """Return the record of a rollout in this phase."""
    rollout = Rollout(
        id="digits-2.0-20261130T101500",
        model="digits",
        stable="1.0",
        candidate="2.0",
        actor="ann@lab",
        started="2026-11-30T10:15:00+00:00",
        plan=Plan(),
        phase=phase,
        phase_since="2026-11-30T10:15:00+00:00",
        share=0.05,
    )
    return records.create(folder, rollout.model_copy(update=changes))


def run(command: str) -> None:
    app(command, exit_on_error=False, print_error=False)


def test_start_without_a_server_says_how_to_start_one(folder: Path) -> None:
    with pytest.raises(StartError, match="no server is ready on port 8080: start one with `torchlight serve"):
        run("rollout start --version 2.0")


def test_wrong_plan_is_refused_before_anything_else(folder: Path) -> None:
    Path("plan.yaml").write_text("canary: {hold: soon}\n", encoding="utf-8")
    with pytest.raises(
        ServingError, match=r"plan\.yaml: canary\.hold: write a number of seconds, or a duration such as"
    ):
        run("rollout start --version 2.0 --plan plan.yaml")


def test_status_of_a_model_without_rollouts_is_an_error(folder: Path) -> None:
    with pytest.raises(VersionError, match="there was no rollout of 'cells' on this server"):
        run("rollout status --model cells")


def test_status_and_history_need_no_running_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(folder)
    run("rollout status --json")
    assert json.loads(capsys.readouterr().out)["candidate"] == "2.0"
    run("rollout history --json")
    assert [rollout["phase"] for rollout in json.loads(capsys.readouterr().out)] == ["canary"]
    run("rollout history --model cells --json")
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("command", "changes", "message"),
    [
        ("abort", {"phase": RolloutPhase.DONE}, "digits-2.0-20261130T101500 has ended: done"),
        ("resume", {}, "digits-2.0-20261130T101500 is not paused: canary, the candidate has a share of 5.0%"),
        (
            "promote",
            {"phase": RolloutPhase.WARM},
            "digits-2.0-20261130T101500 can be promoted from its golden answers to its last canary step: warm, the "
            "candidate has a share of 5.0%",
        ),
        (
            "abort",
            {"phase": RolloutPhase.DRAINING},
            "digits-2.0-20261130T101500 is ending already: draining, the candidate has a share of 5.0%",
        ),
        ("pause", {"paused": "by ann@lab"}, "digits-2.0-20261130T101500 is paused already: by ann@lab"),
    ],
)
def test_request_that_makes_no_sense_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, changes: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(local, "ready_status", lambda instance: None)
    record = stored(folder, **changes)
    with pytest.raises(VersionError) as refused:
        run(f"rollout {command}")
    assert str(refused.value) == message
    assert request_file.read(record.folder) is None


def test_request_wakes_the_controller_and_waits_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "ready_status", lambda instance: None)
    record = stored(folder)
    taken: list[request_file.Request | None] = []

    def controller() -> None:
        while (request := request_file.read(record.folder)) is None:
            time.sleep(0.01)
        taken.append(request)
        rollout = record.load()
        rollout.phase, rollout.reason = RolloutPhase.ROLLING_BACK, f"aborted by {request.actor}"
        record.save(rollout)
        request_file.remove(record.folder)

    thread = threading.Thread(target=controller)
    thread.start()
    run("rollout abort")
    thread.join()
    assert taken[0] is not None
    assert taken[0].action is Action.ABORT
    assert records.wake_file(folder).exists()
    assert "digits-2.0-20261130T101500: rolling back, the candidate has a share of 5.0%: aborted by" in (
        capsys.readouterr().out
    )


def test_request_that_is_not_taken_yet_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "ready_status", lambda instance: None)
    monkeypatch.setattr(commands, "REQUEST_SECONDS", 0.1)
    record = stored(folder, RolloutPhase.VERIFIED)
    run("rollout abort")
    assert "abort is noted; it takes effect when the present step is complete" in capsys.readouterr().out
    assert request_file.read(record.folder) is not None
