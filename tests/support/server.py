"""A real server for a test: started by the real command on free ports, in a folder of its own, and always ended."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from serving.runtime.instance import Instance, Ports
from serving.torchserve.tokens import KeyFile, Kind
from serving.torchserve.worker_roles import RoleCounts

REPOSITORY = Path(__file__).resolve().parents[2]
# As long as a server waits for its own workers. They load at a low priority, and other tests may use both cores.
START_SECONDS = 180
# What clients of a production server send.
TOKEN = "open-sesame-0123456789"
# Flags of a server whose every worker predicts.
PREDICT_ONLY = ("--explain-workers", "0", "--unbatched-worker", "0")
_given_ports: set[int] = set()


def environment(temp: Path, **more: str) -> dict[str, str]:
    """Return the environment that a command of the repository needs in another folder."""
    temp.mkdir(parents=True, exist_ok=True)
    # A command of a test is not part of the `make` that runs the tests: a nested make prints lines of its own.
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(temp), "OMP_NUM_THREADS": "1", **more}


def run(workspace: Path, module: str, *flags: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the repository in `workspace`, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", module, *flags],
        cwd=workspace,
        env=environment(workspace / "tmp", **more),
        capture_output=True,
        text=True,
        timeout=180,
    )


def free_port() -> int:
    """Return a port whose eight followers are free too, and which no test had before: a port's folder has a past."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000, 10)
        if port in _given_ports:
            continue
        try:
            for offset in range(9):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        _given_ports.add(port)
        return port
    raise RuntimeError("no nine free ports in a row")


class Server:
    """`python -m scripts.serve --foreground`, from start to end of a `with` block."""

    def __init__(self, workspace: Path, *flags: str, wait: bool = True, **more: str) -> None:
        self.workspace = workspace
        self.ports = Ports(free_port())
        self.url = f"http://127.0.0.1:{self.ports.public}"
        self.direct = f"http://127.0.0.1:{self.ports.inference}"
        self.management = f"http://127.0.0.1:{self.ports.management}"
        self.instance = Instance(self.ports, workspace / ".run")
        self._flags = flags
        self._wait = wait
        self._more = more

    def __enter__(self) -> Server:
        self.instance.folder.mkdir(parents=True, exist_ok=True)
        with self.instance.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.serve", "--foreground", "--port", str(self.ports.public), *self._flags],
                cwd=self.workspace,
                env=environment(self.workspace / "tmp", **self._more),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._wait:
            self.await_ready()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(30)

    def restart(self, *flags: str) -> None:
        """Start a server that has ended on its ports again. Without flags it restores its last state."""
        self._flags = flags
        self.__enter__()

    def await_ready(self) -> None:
        """Wait for the supervisor's word; its last lines are in the error where it does not come."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            status = self.instance.status()
            if status is not None and status.pid == self.process.pid and status.state == "ready":
                return
            time.sleep(0.05)
        raise AssertionError(f"the server did not come up:\n{self.log()[-3000:]}")

    def log(self) -> str:
        """Everything the server printed."""
        return self.instance.log.read_text(errors="replace")

    def await_logged(self, words: str) -> None:
        """Wait until the log contains `words`. Lines of the proxy arrive in groups, some 50 ms later."""
        deadline = time.monotonic() + 10
        while words not in self.log():
            assert time.monotonic() < deadline, f"{words!r} is not in the log:\n{self.log()[-3000:]}"
            time.sleep(0.05)

    def key(self, kind: Kind) -> dict[str, str]:
        """Return the header with TorchServe's own token, for requests without the proxy."""
        return {"Authorization": f"Bearer {KeyFile.of(self.instance).token(kind)}"}

    def describe(self, path: str) -> Any:
        """Return the response of the management API at a path."""
        return requests.get(self.management + path, headers=self.key("management"), timeout=30).json()

    def workers(self, model: str = "digits") -> list[tuple[int, str]]:
        """Process id and status of each worker."""
        return [(worker["pid"], worker["status"]) for worker in self.describe(f"/models/{model}")[0]["workers"]]

    def all_workers(self) -> list[tuple[int, str]]:
        """Return the workers of every role."""
        return [worker for name in RoleCounts().registered_names("digits") for worker in self.workers(name)]

    def asked(self) -> Counter[str]:
        """The number of requests that TorchServe counted for each registration, over all its versions."""
        lines = requests.get(f"http://127.0.0.1:{self.ports.torchserve_metrics}/metrics", timeout=10).text.splitlines()
        found = Counter[str]()
        for line in lines:
            if line.startswith("ts_inference_requests_total{"):
                found[line.split('"')[1]] += round(float(line.rpartition(" ")[2]))
        return found

    def children(self, name: str) -> list[int]:
        """Process ids of the supervisor's children that run a program of this name."""
        return [pid for pid in _children(self.process.pid) if name in _program(pid)]


def _children(parent: int) -> Sequence[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def _program(pid: int) -> str:
    """Return the program of a process, or the module that Python runs; nothing once it has ended."""
    try:
        program, *arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return ""
    return arguments[1] if arguments[:1] == ["-m"] else program


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
