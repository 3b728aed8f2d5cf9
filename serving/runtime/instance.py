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
# Time limits for taking the lock, and for the first status of a new supervisor.
CLAIM_SECONDS, REPORT_SECONDS = 0.5, 2.0
# Files of tokens: the one that clients send to the proxy in production, and TorchServe's own without the proxy.
TOKEN, TORCHSERVE_TOKEN = "token", "torchserve-token"
State = Literal["starting", "ready", "stopping", "stopped", "failed"]
# Range that free_ports searches.
FIRST_PORT, LAST_PORT = 18_300, 28_300


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one server. Only `public` can be bound to another address than loopback."""

    public: int = 8080

    def __post_init__(self) -> None:
        if not 1 <= self.public <= 65_000:
            raise ConfigError(f"port {self.public} does not exist: choose one from 1 to 65000")

    @property
    def management(self) -> int:
        return self.public + 1

    @property
    def web(self) -> int:
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

    @property
    def proxy_metrics(self) -> int:
        return self.public + 8

    def check_free(self, host: str) -> None:
        """Check that all ports can be bound.

        Raises:
            StartError: another process uses a port, or this user must not bind it.
        """
        addresses = [(host, self.public)]
        addresses += [("127.0.0.1", port) for port in range(self.management, self.proxy_metrics + 1)]
        for address, port in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    raise StartError(
                        f"port {port} on {address} cannot be used ({error.strerror}): stop what uses it, or choose "
                        f"another with --port, such as --port={self.public + 1000} (the next 8 are needed too)"
                    ) from None


def free_ports() -> Ports:
    """Return unused ports of loopback, for a server that a command starts for itself.

    Raises:
        StartError: all ports of the range are in use.
    """
    for public in range(FIRST_PORT, LAST_PORT, 10):
        try:
            (ports := Ports(public)).check_free("127.0.0.1")
        except StartError:
            continue
        return ports
    raise StartError(f"no nine free ports in a row from {FIRST_PORT} to {LAST_PORT}: stop some servers")


@dataclass(frozen=True, slots=True)
class Status:
    """Status that the supervisor last wrote.

    Attributes:
        explain_workers, unbatched_workers: extra workers of each version, by role.
        tokens: True if clients must send a token.
        proxy: True if clients talk to the proxy, False if they talk to TorchServe itself.
        start_ticks: start time of the process `pid` (serving/runtime/processes.py), because ids are reused.
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
    """Return the URL by which this machine reaches a server that is bound to an address, or to all addresses."""
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
            StartError: another process is the supervisor, or the folder belongs to another user.
        """
        private_folder.make(self.folder)
        self._lock = open(self.folder / LOCK, "w", encoding="ascii", opener=atomic_files.private)  # noqa: SIM115
        deadline = time.monotonic() + CLAIM_SECONDS
        while True:  # `running` in another process holds the lock for a moment
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    port = self.ports.public
                    raise StartError(
                        f"a server already runs on port {port}: stop it with `torchlight stop --port {port}`"
                    ) from None
            time.sleep(0.02)

    def running(self) -> bool:
        """Return whether a supervisor holds the lock of this instance.

        Raises:
            StartError: the folder belongs to another user, so its files cannot be trusted.
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
        """Return the last status that was written, or None if there is none."""
        try:
            return Status(**read_json(self.folder / STATUS))
        except (OSError, ValueError, TypeError):
            return None

    def report(self, status: Status) -> None:
        """Write the status, atomically."""
        atomic_files.write(self.folder / STATUS, json.dumps(asdict(status)))

    @property
    def url(self) -> str:
        """Return the URL of the server for this machine, by its status; on 127.0.0.1 without a status."""
        status = self.status()
        return http_url(status.host if status else "127.0.0.1", self.ports.public)

    def token(self) -> str | None:
        """Return the token that clients must send, or None if the server needs none."""
        status = self.status()
        if status is None or not status.tokens:
            return None
        try:
            return (self.folder / (TOKEN if status.proxy else TORCHSERVE_TOKEN)).read_text(encoding="ascii").strip()
        except FileNotFoundError:  # its last start failed before it had one
            return None

    def stop(self, timeout: float) -> bool:
        """Tell the supervisor to drain and end, and wait for it. Return False if no server runs.

        Raises:
            StartError: it still runs after `timeout` seconds, or it is not the process that the status names.
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
        """Send SIGTERM to the process that wrote the status, but not to a later process with the same id."""
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
