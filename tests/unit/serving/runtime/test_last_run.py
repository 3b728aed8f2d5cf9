from __future__ import annotations

from pathlib import Path

import pytest

from serving.runtime import last_run
from serving.runtime.instance import Instance, Ports, State, Status


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    instance = Instance(Ports(8090), tmp_path)
    instance.claim()
    return instance


def ends(instance: Instance, state: State, message: str = "") -> None:
    instance.report(Status(state, message, 4711, "nowhere"))
    assert instance._lock is not None
    instance._lock.close()


def test_crash_message_has_the_reason(instance: Instance) -> None:
    ends(instance, "failed", "the model server (Java) was killed by signal 9 (SIGKILL)")
    assert last_run.crash(instance) == "the last run failed: the model server (Java) was killed by signal 9 (SIGKILL)"


@pytest.mark.parametrize("state", ["starting", "ready", "stopping"])
def test_supervisor_that_was_killed_is_noticed(instance: Instance, state: State) -> None:
    ends(instance, state)
    sentence = last_run.crash(instance)
    assert sentence is not None
    assert sentence.startswith(f"the last run was killed while it was {state}: its supervisor (process 4711) is gone")
    assert "server.log" in sentence
    assert sentence.endswith("start again: torchlight serve --port 8090")


def test_crash_message_is_missing_after_a_stop_and_while_the_server_runs(instance: Instance, tmp_path: Path) -> None:
    instance.report(Status("ready", "", 4711, "nowhere"))
    assert last_run.crash(Instance(Ports(8090), tmp_path)) is None
    ends(instance, "stopped")
    assert last_run.crash(instance) is None
    assert last_run.crash(Instance(Ports(9000), tmp_path)) is None
