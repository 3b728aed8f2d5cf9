from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from serving.errors import Unreachable
from serving.runtime import loopback
from serving.runtime.instance import Instance, Ports, Status
from serving.server import health
from serving.torchserve.management import Management, Version, Worker


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """A server that says it is ready and sends requests to two versions."""
    claimed = Instance(Ports(8080), tmp_path)
    claimed.claim()
    claimed.report(Status("ready", "", 1, "/tmp/x"))
    (claimed.folder / "versions.map").write_text("digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n")
    yield claimed
    assert claimed._lock is not None
    claimed._lock.close()


def has(monkeypatch: pytest.MonkeyPatch, ready: dict[str, int], configured: int = 2, ping: int = 200) -> None:
    """Let the proxy answer, and TorchServe have so many READY workers of each version, of `configured`."""

    def request(method: str, url: str, *, headers: dict[str, str], timeout: float) -> requests.Response:
        answer = requests.Response()
        answer.status_code = ping
        return answer

    def find(self: Management, model: str, version: str) -> Version | None:
        if version not in ready:
            return None
        workers = [Worker("1", "READY" if n < ready[version] else "UNLOADING", 1, False, "") for n in range(configured)]
        return Version(model, version, "", configured, tuple(workers), 0, 100)

    monkeypatch.setattr(loopback, "request", request)
    monkeypatch.setattr(Management, "find", find)


def test_server_is_healthy_when_every_worker_of_every_version_is_ready(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, {"1.0": 2, "2.0": 2})
    assert health.problems(instance) == []


def test_worker_that_is_not_ready_is_named_by_its_version(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, {"1.0": 2, "2.0": 1})
    assert health.problems(instance) == ["digits 2.0: 1 of 2 READY"]


def test_version_without_workers_is_not_healthy(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, {"1.0": 0, "2.0": 0}, configured=0)
    assert health.problems(instance) == ["digits 1.0: 0 of 0 READY", "digits 2.0: 0 of 0 READY"]


def test_explain_workers_count_for_health(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    instance.report(Status("ready", "", 1, "/tmp/x", explain_workers=1, unbatched_workers=1))
    has(monkeypatch, {"1.0": 2, "2.0": 2})
    original_find = Management.find

    def find(self: Management, model: str, version: str) -> Version | None:
        return None if (model, version) == ("digits-explain", "2.0") else original_find(self, model, version)

    assert health.problems(instance) == []
    monkeypatch.setattr(Management, "find", find)
    assert health.problems(instance) == ["digits-explain 2.0 is not registered"]


def test_routed_version_that_is_not_registered_is_a_problem(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, {"1.0": 2})
    assert health.problems(instance) == ["digits 2.0 is not registered"]


def test_closed_proxy_is_a_problem(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, {"1.0": 2, "2.0": 2}, ping=503)
    assert health.problems(instance) == ["the proxy does not answer (HTTPError)"]


def test_silent_torchserve_is_a_problem(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, {})

    def silent(self: Management, model: str, version: str) -> None:
        raise Unreachable("the management API does not answer")

    monkeypatch.setattr(Management, "find", silent)
    assert health.problems(instance) == ["the management API does not answer"]


def test_starting_server_is_not_healthy(instance: Instance) -> None:
    instance.report(Status("starting", "workers READY: 0 of 1", 1, "/tmp/x"))
    assert health.problems(instance) == ["starting: workers READY: 0 of 1"]


def test_missing_server_is_not_healthy(tmp_path: Path) -> None:
    """A status that a killed server left behind does not count."""
    left = Instance(Ports(8080), tmp_path)
    left.folder.mkdir()
    left.report(Status("ready", "", 1, "/tmp/x"))
    assert health.problems(left) == ["no server runs on port 8080"]
