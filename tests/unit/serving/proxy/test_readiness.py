from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import NotRegistered, Unreachable
from serving.proxy import readiness, routing
from serving.proxy.readiness import Readiness, WorkerPoll
from serving.proxy.routing import Routing
from serving.torchserve.management import Management, Version, Worker
from serving.torchserve.worker_roles import RoleCounts

Child = subprocess.Popen[bytes]


class FakeManagement(Management):
    """Has the workers that a test says, by the name that they are registered under."""

    def __init__(self) -> None:
        """Talk to nobody: no port and no keys."""
        self.versions: dict[str, list[Version]] = {}
        self.answers = True

    def describe(self, model: str, version: str = "all") -> list[Version]:
        if not self.answers:
            raise Unreachable("no")
        if model not in self.versions:
            raise NotRegistered("no")
        return self.versions[model]

    def has(self, name: str, pid: int, status: str = "READY", version: str = "1.0") -> None:
        worker = Worker("9000", status, pid, False, "")
        self.versions[name] = [Version(name, version, "", 1, (worker,), 0, 100)]


class Proxy(Routing):
    """Remembers its map of what is not ready, and how often it was told something."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())
        self._api.command = self._command
        self.map: dict[str, str] = {}
        self.commands = 0
        self.answers_lost = 0

    def _command(self, command: str) -> str:
        self.commands += 1
        verb, _, name, *words = command.replace("\\ ", "\0").replace("\\;", ";").split()
        assert name == routing.HEALTH
        if verb == "show":
            return "".join(f"0x1 {key} {value}\n" for key, value in self.map.items())
        key = words[0]
        assert (key in self.map) == (verb != "add"), command
        if verb == "del":
            del self.map[key]
        else:
            self.map[key] = words[1].replace("\0", " ")
        if self.answers_lost:
            self.answers_lost -= 1
            raise Unreachable("no answer")
        return ""

    @property
    def reasons(self) -> dict[str, str]:
        return {key: value for key, value in self.map.items() if key != readiness.HEARTBEAT}


@pytest.fixture
def child() -> Iterator[Child]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        yield running
        running.kill()


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    path = tmp_path / routing.FILE_NAME
    path.write_text("digits 1.0\ndigits/1.0 1.0\n", encoding="utf-8")
    return path


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement()


@pytest.fixture
def poll(management: FakeManagement, versions: Path) -> WorkerPoll:
    return WorkerPoll(lambda: management, RoleCounts(), versions)


def wait_for_state(pid: int, letter: str) -> None:
    deadline = time.monotonic() + 5
    while readiness.processes.state(pid) != letter:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_version_is_ready_while_a_predict_worker_is_ready_and_runs(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    proxy, ready = Proxy(), Readiness(poll, versions)
    management.has("digits", child.pid)
    poll.refresh()
    ready.reconcile(proxy)
    assert proxy.reasons == {}
    assert abs(int(proxy.map["heartbeat"]) - time.time()) < 3
    child.kill()
    child.wait()
    ready.reconcile(proxy)
    reason = "digits 1.0 has no READY predict worker (0 of 1)"
    assert proxy.reasons == {"digits/1.0": reason, "unready": reason}


@pytest.mark.parametrize("status", ["UNLOADING", "LOADING", ""])
def test_worker_that_loads_is_not_ready(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child, status: str
) -> None:
    management.has("digits", child.pid, status)
    poll.refresh()
    assert "unready" in Readiness(poll, versions).entries()


def test_stopped_worker_is_not_ready_until_it_continues(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    ready = Readiness(poll, versions)
    management.has("digits", child.pid)
    poll.refresh()
    child.send_signal(19)
    wait_for_state(child.pid, "T")
    assert "unready" in ready.entries()
    child.send_signal(18)
    wait_for_state(child.pid, "S")
    assert "unready" not in ready.entries()


def test_killed_worker_does_not_count_before_it_has_ended(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    management.has("digits", child.pid)
    poll.refresh()
    poll.discard(child.pid)
    poll.refresh()
    assert "unready" in Readiness(poll, versions).entries()


def test_version_is_not_ready_by_workers_of_other_roles_and_versions(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    for name in ("digits-explain", "digits-unbatched"):
        management.has(name, child.pid)
    management.has("digits", child.pid, version="2.0")
    poll.refresh()
    assert Readiness(poll, versions).entries()["unready"] == "digits 1.0 is not registered in the model server"


def test_unready_other_version_is_named_but_the_server_is_ready(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    management.has("digits", child.pid)
    poll.refresh()
    versions.write_text("digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n", encoding="utf-8")
    entries = Readiness(poll, versions).entries()
    assert "digits/2.0" in entries
    assert "unready" not in entries
    versions.write_text("digits 2.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n", encoding="utf-8")
    assert Readiness(poll, versions).entries()["unready"] == entries["digits/2.0"], "it follows a promotion"


def test_server_with_several_models_is_ready_when_all_are(
    management: FakeManagement, poll: WorkerPoll, versions: Path
) -> None:
    names = [f"model{number}" for number in range(5)]
    versions.write_text("".join(f"{name} 1.0\n{name}/1.0 1.0\n" for name in names), encoding="utf-8")
    poll.refresh()
    unready = Readiness(poll, versions).entries()["unready"]
    assert [name in unready for name in names] == [True, True, True, False, False]
    assert unready.endswith("and 2 more models")


def test_server_without_a_model_is_not_ready(poll: WorkerPoll, versions: Path) -> None:
    versions.unlink()
    assert Readiness(poll, versions).entries()["unready"] == "no model is served"


def test_silent_torchserve_is_not_ready(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    management.has("digits", child.pid)
    poll.refresh()
    management.answers = False
    with pytest.raises(Unreachable):
        poll.refresh()
    ready = Readiness(poll, versions)
    assert "unready" not in ready.entries(), "it may be busy"
    monkeypatch.setattr(readiness, "ANSWER_TIMEOUT_SECONDS", 0.0)
    assert "TorchServe has not answered" in ready.entries()["unready"]


def test_stopping_server_is_not_ready(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child
) -> None:
    management.has("digits", child.pid)
    poll.refresh()
    assert Readiness(poll, versions).entries(stopping=True)["unready"] == readiness.STOPPING


def test_proxy_gets_changes_and_a_heartbeat_each_second(
    management: FakeManagement, poll: WorkerPoll, versions: Path, child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, ready, now = Proxy(), Readiness(poll, versions), 1_800_000_000.0
    management.has("digits", child.pid)
    poll.refresh()
    monkeypatch.setattr(readiness.time, "time", lambda: now)
    for _ in range(5):
        ready.reconcile(proxy)
    assert proxy.commands == 1
    now += 1.5
    ready.reconcile(proxy)
    assert (proxy.commands, proxy.map["heartbeat"]) == (2, "1800000001")
    now -= 3600  # the clock was set back
    ready.reconcile(proxy)
    assert proxy.map["heartbeat"] == "1799996401"


def test_health_map_is_read_again_after_a_lost_answer(
    management: FakeManagement, poll: WorkerPoll, versions: Path
) -> None:
    proxy, ready = Proxy(), Readiness(poll, versions)
    proxy.answers_lost = 1
    with pytest.raises(Unreachable):
        ready.reconcile(proxy)
    ready.reconcile(proxy)
    assert set(proxy.map) == {"heartbeat", "digits/1.0", "unready"}
