"""The supervisor's part of rollouts: a controller runs while one is active, and only then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.rollout import record as records
from serving.runtime.instance import Instance, Ports
from serving.server import rollout_controller
from serving.server.rollout_controller import RolloutController


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def controller(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RolloutController]:
    """A controller process that ends at once, with status 3."""
    monkeypatch.setattr(rollout_controller, "command", lambda *arguments: [sys.executable, "-c", "raise SystemExit(3)"])
    instance = Instance(Ports(8080), tmp_path)
    records.wake_file(instance.folder).parent.mkdir(parents=True)
    process = RolloutController(instance, lines.append, lines.append)
    yield process
    process.end()


def wake(tmp_path: Path) -> None:
    records.wake_file(tmp_path / "8080").touch()


def wait_for_end(controller: RolloutController) -> None:
    assert controller._child is not None
    controller._child.wait(20)


def test_nothing_runs_without_a_rollout(controller: RolloutController, tmp_path: Path) -> None:
    assert controller.keep_running(tmp_path) == []


def test_controller_that_dies_is_started_again(
    controller: RolloutController, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_controller, "PAUSE_SECONDS", 0.0)
    wake(tmp_path)
    (first,) = controller.keep_running(tmp_path)
    wait_for_end(controller)
    (second,) = controller.keep_running(tmp_path)
    assert second != first
    assert lines == ["the controller of rollouts ended with status 3"]


def test_controller_that_cannot_run_is_not_started_over_and_over(controller: RolloutController, tmp_path: Path) -> None:
    wake(tmp_path)
    assert controller.keep_running(tmp_path)
    wait_for_end(controller)
    assert [controller.keep_running(tmp_path) for _ in range(10)] == [[]] * 10


def test_controller_is_not_started_again_when_no_rollout_is_left(
    controller: RolloutController, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_controller, "PAUSE_SECONDS", 0.0)
    wake(tmp_path)
    controller.keep_running(tmp_path)
    wait_for_end(controller)
    records.wake_file(tmp_path / "8080").unlink()
    assert controller.keep_running(tmp_path) == []


def test_command_names_server_and_store(tmp_path: Path) -> None:
    words = rollout_controller.command(Instance(Ports(9000), tmp_path), tmp_path / "my store")
    assert words[-6:] == ["--port", "9000", "--root", str(tmp_path), "--store", str(tmp_path / "my store")]
