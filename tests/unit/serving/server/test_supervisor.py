from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.artifacts.store import Archive
from serving.errors import StartError
from serving.rollout import state
from serving.runtime.instance import Instance, Ports
from serving.server.launch_options import Launch
from serving.server.supervisor import Supervisor


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose supervisor may set signal handlers; they are set back, and its lock is let go."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    claimable = Instance(Ports(8080), tmp_path)
    yield claimable
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if claimable._lock is not None:
        claimable._lock.close()


def launch(**settings: object) -> Launch:
    archives = [Archive(Path("digits-1.0.mar"), "digits", "1.0")]
    return Launch(archives=archives, state=state.from_archives(archives), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_torchserve_itself_is_never_open_to_a_network(instance: Instance, host: str) -> None:
    with pytest.raises(StartError, match=f"--host={host} needs the proxy"):
        Supervisor(instance, launch(proxy=False, host=host)).run()


def test_token_is_refused_without_the_proxy_that_checks_it(instance: Instance) -> None:
    with pytest.raises(StartError, match="TORCHLIGHT_TOKEN is set, but --proxy=0 leaves out the proxy that checks it"):
        Supervisor(instance, launch(proxy=False, production=True, token="x" * 32)).run()


def test_failed_start_is_reported_and_leaves_nothing_running(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "no-java"))
    with pytest.raises(StartError, match="JAVA_HOME is "):
        Supervisor(instance, launch()).run()
    status = instance.status()
    assert status is not None
    assert status.state == "failed"
    assert status.message.startswith("JAVA_HOME is ")
    assert status.temp
    assert not Path(status.temp).exists()


def test_port_is_served_by_one_supervisor_only(instance: Instance, tmp_path: Path) -> None:
    other = Instance(Ports(8080), tmp_path)
    other.claim()
    try:
        with pytest.raises(StartError, match="a server already runs on port 8080"):
            Supervisor(instance, launch()).run()
        assert instance.status() is None
    finally:
        assert other._lock is not None
        other._lock.close()
