"""One running server on this machine: its ports, its folder under .run/, its status, and how it is stopped.

The folder is named by the public port, so servers on different ports do not meet. A lock held for the life of the
supervisor says whether it runs; process ids alone would not, since they are used again.
"""

from __future__ import annotations

import fcntl
import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from models.documents import read_json
from serving.errors import ConfigError, StartError
from serving.runtime import atomic_files, private_folder, processes

ROOT = Path(".run")
LOCK, STATUS = "lock", "status.json"
# The lock is tried so long, and a status waited for.
CLAIM_SECONDS, REPORT_SECONDS = 0.5, 2.0
# The token that clients send to the proxy in production, and the one that TorchServe wants where there is no proxy.
TOKEN, TORCHSERVE_TOKEN = "token", "torchserve-token"
State = Literal["starting", "ready", "stopping", "stopped", "failed"]
# Where free_ports looks.
FIRST_PORT, LAST_PORT = 18_300, 28_300


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one server listens. Only `public` is ever bound to another address than loopback."""

    public: int = 8080

    def __post_init__(self) -> None:
        if not 1 <= self.public <= 65_000:
            raise ConfigError(f"port {self.public} does not exist: choose one from 1 to 65000")

    @property
    def management(self) -> int:
        return self.public + 1

    @property
    def metrics(self) -> int:
        return self.public + 2

    @property
    def gateway(self) -> int:
        return self.public + 3

    @property
    def torchserve_metrics(self) -> int:
        return self.public + 4

    @property
    def inference(self) -> int:
        return self.public + 5

    @property
    def grpc_inference(self) -> int:
        return self.public + 6

    @property
    def grpc_management(self) -> int:
        return self.public + 7

    def check_free(self, host: str) -> None:
        """Raises StartError where one of them is taken or may not be bound."""
        wanted = [(host, self.public)]
        loopback = (self.management, self.metrics, self.gateway, self.torchserve_metrics, self.inference)
        wanted += [("127.0.0.1", port) for port in (*loopback, self.grpc_inference, self.grpc_management)]
        for address, port in wanted:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    raise StartError(
                        f"port {port} on {address} cannot be used ({error.strerror}): stop what uses it, or choose "
                        f"another with PORT=, such as PORT={self.public + 1000} (PORT+1 to PORT+7 are needed too)"
                    ) from None


def free_ports() -> Ports:
    """Ports of loopback that nobody listens on, for a server of a command's own.

    Raises:
        StartError: there are none.
    """
    for public in range(FIRST_PORT, LAST_PORT, 10):
        try:
            (ports := Ports(public)).check_free("127.0.0.1")
        except StartError:
            continue
        return ports
    raise StartError(f"no eight free ports in a row from {FIRST_PORT} to {LAST_PORT}: stop some servers")


@dataclass(frozen=True, slots=True)
class Status:
    """Status that the supervisor last wrote.

    Attributes:
        explain_workers, unbatched_workers: extra workers of each version, by role.
        tokens: whether clients must send a token.
        proxy: whether clients talk to the proxy, not to TorchServe itself.
        start_ticks: when the process `pid` started (serving/runtime/processes.py): the id alone may be used again.
    """

    state: State
    message: str
    pid: int
    temp: str
    tokens: bool = False
    host: str = "127.0.0.1"
    explain_workers: int = 0
    unbatched_workers: int = 0
    proxy: bool = True
    start_ticks: int | None = None


def http_url(host: str, port: int) -> str:
    """The URL by which this machine reaches what is bound to an address, or to all of them."""
    address = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


class Instance:
    """The folder of one server."""

    def __init__(self, ports: Ports, root: Path = ROOT) -> None:
        self.ports = ports
        self.folder = root.absolute() / str(ports.public)
        self._lock: IO[str] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def claim(self) -> None:
        """Make this process the instance's supervisor, until it ends.

        Raises:
            StartError: another one is, or the folder belongs to another user.
        """
        private_folder.make(self.folder)
        self._lock = open(self.folder / LOCK, "w", encoding="ascii", opener=atomic_files.private)  # noqa: SIM115
        deadline = time.monotonic() + CLAIM_SECONDS
        while True:  # whoever asks whether a server runs holds the lock for a moment
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    port = self.ports.public
                    raise StartError(
                        f"a server already runs on port {port}: stop it with `make stop PORT={port}`"
                    ) from None
            time.sleep(0.02)

    def running(self) -> bool:
        """Whether a supervisor holds this instance.

        Raises:
            StartError: the folder belongs to another user, so that nothing in it can be believed.
        """
        try:
            private_folder.check(self.folder)
            with (self.folder / LOCK).open("r", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def status(self) -> Status | None:
        """The last status written, or None where there is none."""
        try:
            return Status(**read_json(self.folder / STATUS))
        except (OSError, ValueError, TypeError):
            return None

    def report(self, status: Status) -> None:
        """Write the status, whole or not at all."""
        atomic_files.write(self.folder / STATUS, json.dumps(asdict(status)))

    @property
    def url(self) -> str:
        """Where this machine reaches the proxy, by the status; 127.0.0.1 where there is none."""
        status = self.status()
        return http_url(status.host if status else "127.0.0.1", self.ports.public)

    def token(self) -> str | None:
        """The token that clients of this server need, or None where it asks for none."""
        status = self.status()
        if status is None or not status.tokens:
            return None
        try:
            return (self.folder / (TOKEN if status.proxy else TORCHSERVE_TOKEN)).read_text(encoding="ascii").strip()
        except FileNotFoundError:  # its last start failed before it had one
            return None

    def stop(self, timeout: float) -> bool:
        """Ask the supervisor to drain and end, and wait for it; False where none runs.

        Raises:
            StartError: it is still there after `timeout` seconds, or cannot be told from other processes.
        """
        if not self.running():
            return False
        status = self._terminate()
        deadline = time.monotonic() + timeout
        while self.running():
            if time.monotonic() > deadline:
                raise StartError(
                    f"the server (process {status.pid}) has not ended after {timeout:.0f} s; requests may still be in "
                    f"flight. See {self.log}, or end it at once with `kill -INT {status.pid}`"
                )
            time.sleep(0.1)
        return True

    def _terminate(self) -> Status:
        """Send SIGTERM to the process that wrote the status, and to no other that has its id since."""
        deadline = time.monotonic() + REPORT_SECONDS
        while True:  # a supervisor that has just claimed the folder has not written its status yet
            status = self.status()
            if status is not None and processes.terminate(status.pid, status.start_ticks):
                return status
            if time.monotonic() > deadline or not self.running():
                raise StartError(
                    f"the server on port {self.ports.public} is not the process that {self.folder / STATUS} names, so "
                    f"nothing was stopped: end the one that `fuser {self.folder / LOCK}` shows"
                )
            time.sleep(0.05)
