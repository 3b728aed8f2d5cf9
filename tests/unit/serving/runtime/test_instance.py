from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import ConfigError, StartError
from serving.runtime import processes
from serving.runtime.instance import Instance, Ports, Status

ROOT = Path(__file__).resolve().parents[4]
# Claims an instance and holds it until its standard input is closed.
HOLD = """
import os
import sys
from pathlib import Path
from serving.runtime import processes
from serving.runtime.instance import Instance, Ports, Status
instance = Instance(Ports(8080), Path(sys.argv[1]))
instance.claim()
ticks = processes.start_ticks(os.getpid())
instance.report(Status("ready", "serving", os.getpid(), "nowhere", start_ticks=ticks))
print("claimed", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    claimable = Instance(Ports(8080), tmp_path)
    yield claimable
    if claimable._lock is not None:
        claimable._lock.close()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed the instance."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        yield process


def test_ports_follow_from_the_public_port() -> None:
    ports = Ports(9000)
    assert (ports.public, ports.management, ports.web) == (9000, 9001, 9002)
    assert ports.torchserve_metrics == 9004
    assert (ports.inference, ports.grpc_inference, ports.grpc_management) == (9005, 9006, 9007)
    assert ports.proxy_metrics == 9008


@pytest.mark.parametrize("port", [0, -1, 65_001, 100_000])
def test_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match=f"port {port} does not exist: choose one from 1 to 65000"):
        Ports(port)


def test_servers_on_different_ports_are_independent(tmp_path: Path) -> None:
    assert Instance(Ports(8080), tmp_path).folder == tmp_path / "8080"
    assert Instance(Ports(9090), tmp_path).folder == tmp_path / "9090"


def test_unclaimed_instance_does_not_run(instance: Instance) -> None:
    assert not instance.running()
    assert instance.status() is None
    assert instance.stop(timeout=1) is False


def test_claimed_instance_runs(instance: Instance) -> None:
    instance.claim()
    assert instance.running()


def test_instance_is_claimed_by_one_process_only(instance: Instance, holder: subprocess.Popen[str]) -> None:
    assert instance.running()
    with pytest.raises(StartError, match="already runs on port 8080: stop it with `torchlight stop --port 8080`"):
        instance.claim()


def test_claim_ends_with_its_process_even_a_killed_one(instance: Instance, holder: subprocess.Popen[str]) -> None:
    assert instance.running()
    holder.kill()
    holder.wait()
    assert not instance.running()
    instance.claim()


def test_stop_signals_the_process_and_waits_for_it(instance: Instance, holder: subprocess.Popen[str]) -> None:
    assert instance.stop(timeout=10) is True
    assert holder.wait() == -15
    assert not instance.running()


@pytest.mark.parametrize("status", ["none", "another process", "another start", "no start"])
def test_stop_signals_no_other_process(
    instance: Instance, holder: subprocess.Popen[str], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process id is used again, and a status may be an old one."""
    monkeypatch.setattr("serving.runtime.instance.REPORT_SECONDS", 0.2)
    with subprocess.Popen(["sleep", "60"]) as unrelated:
        ticks = processes.start_ticks(unrelated.pid)
        assert ticks is not None
        named = {"another process": (2**22 + 1, ticks), "another start": (unrelated.pid, ticks - 1)}
        if status == "none":
            (instance.folder / "status.json").unlink()
        else:
            pid, start = named.get(status, (unrelated.pid, None))
            instance.report(Status("ready", "serving", pid, "nowhere", start_ticks=start))
        with pytest.raises(StartError, match=r"is not the process that .*status\.json names, so nothing was stopped"):
            instance.stop(timeout=1)
        assert (unrelated.poll(), holder.poll()) == (None, None)
        unrelated.kill()


def test_lock_file_is_private(instance: Instance) -> None:
    """Whoever may open it may lock it, and nobody could start a server."""
    instance.folder.mkdir(mode=0o755)
    (instance.folder / "lock").touch(0o644)
    instance.claim()
    assert (instance.folder / "lock").stat().st_mode & 0o777 == 0o600
    assert instance.folder.stat().st_mode & 0o777 == 0o700


def test_check_for_a_running_server_does_not_prevent_a_start(instance: Instance) -> None:
    instance.folder.mkdir()
    with (instance.folder / "lock").open("w") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        threading.Timer(0.1, look.close).start()
        instance.claim()


def test_slow_stop_is_reported_with_a_remedy(instance: Instance, tmp_path: Path) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HOLD
    command = [sys.executable, "-c", deaf, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StartError, match=rf"process {process.pid}\) has not ended .*`kill -INT {process.pid}`"):
            instance.stop(timeout=0)
        assert process.poll() is None


def test_status_reads_back_as_it_was(instance: Instance) -> None:
    instance.folder.mkdir()
    starting = Status("starting", "workers READY: 0 of 1", os.getpid(), "torchlight-x")
    instance.report(starting)
    assert instance.status() == starting
    ready = Status("ready", "serving ✓", os.getpid(), "torchlight-x", tokens=True)
    instance.report(ready)
    assert instance.status() == ready
    assert [path.name for path in instance.folder.iterdir()] == ["status.json"]


def test_token_is_returned_only_if_the_server_needs_one(instance: Instance) -> None:
    instance.folder.mkdir()
    (instance.folder / "token").write_text("secret\n", encoding="ascii")
    assert instance.token() is None
    for asks, token in ((False, None), (True, "secret")):
        instance.report(Status("ready", "", 1, "", tokens=asks))
        assert instance.token() == token


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"state": "ready"}', "null"])
def test_damaged_status_is_ignored(instance: Instance, text: str) -> None:
    instance.folder.mkdir()
    (instance.folder / "status.json").write_text(text, encoding="utf-8")
    assert instance.status() is None


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port on which somebody listens, and whose predecessor is free."""
    with socket.socket() as before, socket.socket() as listener:
        for _ in range(100):
            before.bind(("127.0.0.1", 0))
            try:
                listener.bind(("127.0.0.1", before.getsockname()[1] + 1))
            except OSError:
                before.close()
                before = socket.socket()
                continue
            break
        port = listener.getsockname()[1]
        before.close()
        listener.listen()
        yield port


def test_used_public_port_is_reported(used_port: int) -> None:
    with pytest.raises(
        StartError,
        match=rf"port {used_port} on 127\.0\.0\.1 cannot be used \(Address already in use\).*--port={used_port + 1000}",
    ):
        Ports(used_port).check_free("127.0.0.1")


def test_used_port_behind_the_proxy_is_reported(used_port: int) -> None:
    with pytest.raises(StartError, match=rf"port {used_port} on 127\.0\.0\.1 cannot be used"):
        Ports(used_port - 1).check_free("127.0.0.1")


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"on 192\.0\.2\.1 cannot be used"):
        Ports(8080).check_free("192.0.2.1")
