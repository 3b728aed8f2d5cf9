"""Version commands killed by SIGKILL after each of their effects: running them again must end in the same state."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from serving.rollout import journal
from tests.support.server import Server, environment
from tests.support.version_commands import run_ok, run_versions, server_state

KILLER = """
import os, signal, sys
from serving.proxy import runtime_api
from serving.rollout import journal
from serving.runtime import atomic_files
from serving.torchserve import management
left = int(sys.argv[1])

def deadly(owner, name):
    original = getattr(owner, name)
    def effect(*args, **kwargs):
        global left
        answer = original(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(owner, name, effect)

deadly(atomic_files, "write")
deadly(atomic_files, "append_line")
deadly(runtime_api.RuntimeApi, "command")
deadly(management.Management, "_call")
from scripts import cli
cli.main(["versions", *sys.argv[2:]])
"""


def killed_everywhere(server: Server, command: tuple[str, ...], reset: Callable[[], None], step: int = 1) -> int:
    """Run a command killed after each of its effects in turn, then again; every end must be the same."""
    flags = [*command, "--port", str(server.ports.public)]
    reset()
    run_ok(server, *command)
    expected = server_state(server)
    for after in range(1, 100, step):
        reset()
        killed = subprocess.run(
            [sys.executable, "-c", KILLER, str(after), *flags],
            cwd=server.workspace,
            env=environment(server.workspace / "tmp"),
            capture_output=True,
            timeout=60,
        )
        if killed.returncode == 0:
            return after
        assert killed.returncode == -9, killed.stderr
        run_ok(server, *command)
        assert server_state(server) == expected, f"killed after effect {after}"
        lines = (server.instance.folder / journal.FILE_NAME).read_text().splitlines()
        assert json.loads(lines[-1])["step"] == "done"
        assert all(json.loads(line)["time"] for line in lines)
    raise AssertionError("the command never came to its end")


def test_promote_killed_anywhere_is_repaired_by_running_it_again(served: Server) -> None:
    run_ok(served, "register", "--version", "2.0")

    def reset() -> None:
        run_ok(served, "promote", "--version", "1.0")

    assert killed_everywhere(served, ("promote", "--version", "2.0"), reset) > 10


def test_rollback_killed_anywhere_is_repaired_by_running_it_again(served: Server) -> None:
    run_ok(served, "register", "--version", "2.0")

    def reset() -> None:
        run_ok(served, "promote", "--version", "1.0")
        run_ok(served, "promote", "--version", "2.0")

    assert killed_everywhere(served, ("rollback",), reset) > 10


def test_register_and_retire_killed_on_the_way_are_repaired_by_running_them_again(served: Server) -> None:
    def without() -> None:
        retired = run_versions(served, "retire", "--version", "2.0")
        assert retired.returncode == 0 or "no version 2.0 of 'digits' is registered" in retired.stderr

    def with_it() -> None:
        run_ok(served, "register", "--version", "2.0")

    assert killed_everywhere(served, ("register", "--version", "2.0"), without, step=9) > 10
    assert killed_everywhere(served, ("retire", "--version", "2.0"), with_it, step=9) > 10


def test_two_commands_at_once_do_not_mix(served: Server) -> None:
    import fcntl

    with (served.instance.folder / "commands.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another version command is running" in run_versions(served, "rollback").stderr
