"""Failures around a rollout on a real server: in the end, routing, state and registrations agree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.rollout.phase import RolloutPhase
from serving.rollout.record import Record, Rollout
from serving.torchserve.tokens import FILE_NAME
from tests.support.rollout_commands import await_end, await_state, command, last, start
from tests.support.server import Server, alive, run
from tests.support.traffic import Traffic
from tests.support.version_commands import run_versions, server_state

RATE = 20.0
# A canary that lasts until a test ends it.
LONG_CANARY = {"shadow": {"pairs": 0}, "canary": {"shares": ["50%"], "hold": "10m", "timeout": "20m"}}


@pytest.fixture
def server(rolling: Server) -> Iterator[Server]:
    """The server of this module, with 1.0 as its default before and after each test."""
    yield rolling
    if not (rollout := last(rolling).load()).phase.is_final:
        command(rolling, "abort")
        await_state(last(rolling), lambda rollout: rollout.phase.is_final)
    assert rollout.candidate not in server_state(rolling)["versions"]


def in_canary(server: Server) -> Record:
    record = start(server, "2.0", **LONG_CANARY)
    await_state(record, is_canary)
    return record


def is_canary(rollout: Rollout) -> bool:
    return rollout.phase is RolloutPhase.CANARY


def traffic(server: Server, images: list[bytes]) -> Traffic:
    return Traffic(f"{server.url}/predictions/digits", images, RATE)


def controllers(server: Server) -> list[int]:
    return server.children("serving.rollout.controller_process")


def test_second_controller_ends_at_once(server: Server) -> None:
    record = in_canary(server)
    process = _child_of_controller(server)
    assert process.returncode != 0
    assert "another controller runs" in process.stdout + process.stderr
    assert is_canary(record.load())


def _child_of_controller(server: Server) -> subprocess.CompletedProcess[str]:
    """Run the command of the server's own controller once more."""
    (pid,) = controllers(server)
    program = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    variables = dict(pair.partition("=")[::2] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair)
    folder = Path(f"/proc/{pid}/cwd").readlink()
    return subprocess.run(program, cwd=folder, env=variables, capture_output=True, text=True, timeout=60)


def test_second_rollout_of_a_model_is_refused(server: Server) -> None:
    record = in_canary(server)
    finished = run(server.workspace, "scripts.rollout", "start", "--version", "1.1", "--port", str(server.ports.public))
    assert finished.returncode == 1
    assert record.id in finished.stderr
    assert "abort" in finished.stderr


def test_version_commands_are_refused_during_a_rollout(server: Server) -> None:
    in_canary(server)
    before = server_state(server)
    for name, flags in {"promote": ("--version", "2.0"), "rollback": (), "retire": ("--version", "2.0")}.items():
        assert run_versions(server, name, *flags).returncode != 0
    assert run_versions(server, "retire", "--version", "1.0").returncode != 0  # the default
    assert server_state(server) == before


def test_killed_worker_of_the_candidate_rolls_back(server: Server, held_out: list[bytes]) -> None:
    before = server_state(server)
    with traffic(server, held_out) as sent:
        record = in_canary(server)
        for worker in server.describe("/models/digits/2.0")[0]["workers"]:
            os.kill(worker["pid"], signal.SIGKILL)
        rollout = await_end(record)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert server_state(server) == before
    assert {answer.version for answer in sent.failed} <= {"2.0", ""}


def test_killed_proxy_ends_the_server_and_the_next_start_goes_on_with_the_share(
    server: Server, held_out: list[bytes]
) -> None:
    record = in_canary(server)
    (proxy, *_) = server.children("haproxy")
    os.kill(proxy, signal.SIGKILL)
    assert server.process.wait(60) != 0, "systemd or Docker starts it again"
    server.restart()
    with traffic(server, held_out) as sent:
        time.sleep(5)
    assert not sent.failed
    share = sum(answer.version == "2.0" for answer in sent.answers) / len(sent.answers)
    assert 0.4 < share < 0.6
    assert is_canary(record.load())


def test_killed_controller_goes_on(server: Server) -> None:
    record = in_canary(server)
    (first,) = controllers(server)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not controllers(server) or alive(first):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    command(server, "pause")
    assert record.load().paused is not None


def test_without_traffic_the_rollout_pauses(server: Server) -> None:
    record = start(server, "2.0", shadow={"pairs": 0}, canary={"hold": 0, "timeout": "2s"})
    rollout = await_end(record)
    assert is_canary(rollout)
    assert str(rollout.paused).startswith("no verdict after ")


def test_without_traffic_the_rollout_goes_back_if_the_plan_says_so(server: Server) -> None:
    before = server_state(server)
    record = start(server, "2.0", shadow={"timeout": "2s"}, on_inconclusive="roll_back")
    assert await_end(record).phase is RolloutPhase.ROLLED_BACK
    assert server_state(server) == before


def test_archive_that_cannot_be_loaded_is_rolled_back(server: Server) -> None:
    before = server_state(server)
    store = server.workspace / "model_store"
    broken = store / "digits-2.9.mar"
    content = bytearray((store / "digits-2.0.mar").read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content)
    shutil.copy(store / "digits-2.0.mar.sha256", f"{broken}.sha256")
    try:
        finished = run(
            server.workspace, "scripts.rollout", "start", "--version", "2.9", "--port", str(server.ports.public)
        )
        assert finished.returncode == 1
        assert "digits-2.9.mar" in finished.stderr
    finally:
        broken.unlink()
        Path(f"{broken}.sha256").unlink()
    assert server_state(server) == before


def test_expired_token_is_renewed(server: Server) -> None:
    record = in_canary(server)
    path = server.instance.folder / FILE_NAME
    keys = json.loads(path.read_text())
    old = keys["management"]["key"]
    keys["management"]["expiration time"] = "2020-01-01T00:00:00.000000Z"
    path.write_text(json.dumps(keys))
    deadline = time.monotonic() + 30
    while json.loads(path.read_text())["management"]["key"] == old:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    command(server, "pause")
    assert is_canary(record.load())
    assert record.load().paused is not None


@pytest.fixture
def small_disk(candidates_store: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose .run is a small file system of its own."""
    shutil.copytree(candidates_store / "model_store", tmp_path / "model_store")
    (tmp_path / ".run").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", tmp_path / ".run"]
    subprocess.run(mount, check=True)
    with Server(tmp_path, "--model", "digits", "--version", "1.0", "--container") as server:
        yield server
    subprocess.run(["umount", "--lazy", tmp_path / ".run"], check=True)


def test_full_disk_changes_no_traffic_and_the_rollout_can_be_aborted(small_disk: Server, held_out: list[bytes]) -> None:
    before = server_state(small_disk)
    with traffic(small_disk, held_out) as sent:
        record = in_canary(small_disk)
        filler = small_disk.workspace / ".run" / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(4 << 20))
        time.sleep(5)
        filler.unlink()
        assert is_canary(record.load())
        command(small_disk, "abort")
        rollout = await_state(record, lambda rollout: rollout.phase.is_final)
    assert rollout.phase is RolloutPhase.ROLLED_BACK
    assert server_state(small_disk) == before
    assert not sent.failed
