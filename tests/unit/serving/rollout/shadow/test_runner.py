from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.rollout import record as records
from serving.rollout.plan import Plan, Shadow
from serving.rollout.record import Rollout
from serving.rollout.shadow import runner as module
from serving.rollout.shadow.runner import ShadowRunner
from serving.rollout.shadow.summary import ShadowSummary
from serving.runtime.instance import Instance, Ports
from serving.torchserve.worker_roles import RoleCounts

LASTING = [sys.executable, "-c", "import time; time.sleep(60)"]


def make(tmp_path: Path, model: str = "digits") -> ShadowRunner:
    instance = Instance(Ports(20_000), tmp_path / ".run")
    rollout = Rollout(
        id=f"{model}-2.0-a",
        model=model,
        stable="1.0",
        candidate="2.0",
        actor="a",
        started="",
        plan=Plan(shadow=Shadow(share=0.25)),
        phase_since="",
    )
    return ShadowRunner(instance, tmp_path, records.create(instance.folder, rollout), RoleCounts())


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShadowRunner]:
    runner = make(tmp_path)
    monkeypatch.setattr(runner, "_command", lambda socket: LASTING)
    yield runner
    runner.stop()


def test_workers_are_asked_for_samples_until_the_end(tmp_path: Path, runner: ShadowRunner) -> None:
    runner.start()
    document = json.loads((tmp_path / "shadow-digits.json").read_text())
    assert (document["version"], document["share"]) == ("1.0", 0.25)
    assert Path(document["socket"]).parent == tmp_path
    child = runner._child
    runner.stop()
    assert not (tmp_path / "shadow-digits.json").exists()
    assert child is not None
    assert child.poll() is not None
    runner.stop()


def test_a_second_start_changes_nothing(tmp_path: Path, runner: ShadowRunner) -> None:
    runner.start()
    child, written = runner._child, (tmp_path / "shadow-digits.json").stat().st_ino
    runner.start()
    assert (runner._child, (tmp_path / "shadow-digits.json").stat().st_ino) == (child, written)


def test_a_replayer_that_ended_is_started_again_after_a_pause(
    runner: ShadowRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.start()
    child = runner._child
    assert child is not None
    child.kill()
    child.wait()
    runner.start()
    assert runner._child is child, "a replayer that cannot run costs little"
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    runner.start()
    assert runner._child is not None
    assert runner._child.pid != child.pid


def test_the_file_of_a_killed_controller_is_removed(tmp_path: Path, runner: ShadowRunner) -> None:
    (tmp_path / "shadow-digits.json").write_text("{")
    runner.stop()
    assert not (tmp_path / "shadow-digits.json").exists()


def test_two_models_have_files_and_sockets_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runners = [make(tmp_path, model) for model in ("digits", "shapes")]
    for runner in runners:
        monkeypatch.setattr(runner, "_command", lambda socket: LASTING)
        runner.start()
    sockets = {json.loads(path.read_text())["socket"] for path in tmp_path.glob("shadow-*.json")}
    for runner in runners:
        runner.stop()
    assert len(sockets) == 2


def test_the_summary_is_empty_before_the_first_pair(runner: ShadowRunner) -> None:
    assert runner.summary() == ShadowSummary()
    folder = runner._record.folder / "shadow"
    folder.mkdir()
    (folder / "summary.json").write_text(ShadowSummary(pairs=3).model_dump_json())
    assert runner.summary().pairs == 3


def test_the_replayer_runs_at_the_lowest_priority(tmp_path: Path) -> None:
    assert make(tmp_path)._command(tmp_path / "s")[:3] == ["nice", "-n", "19"]
