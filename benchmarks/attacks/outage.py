"""Connection exhaustion: hold connections without complete requests, while a client with a token sends requests.

The attack and the good client have the same address. So a limit per address could not tell them apart.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

SECONDS = 5.0
TIMEOUT_SECONDS = 30.0
# Time between two requests of the good client, and between two bytes of the attacker.
PAUSE_SECONDS = 0.02
DRIP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attack:
    """Data to send at once over each connection, and data to send byte by byte afterwards."""

    name: str
    connections: int
    data: bytes
    drip: bytes = b"x"


NOTHING = Attack("nothing", 0, b"")
_BODY = b"Host: x\r\nContent-Length: 100000\r\n\r\nx"
ATTACKS = (
    Attack("bodies on GET /ping", 1_030, b"GET /ping HTTP/1.1\r\n" + _BODY),
    Attack("bodies on OPTIONS", 1_030, b"OPTIONS /predictions/digits HTTP/1.1\r\n" + _BODY),
    Attack("bodies without a token", 1_030, b"POST /predictions/digits HTTP/1.1\r\n" + _BODY),
    Attack("bodies to an unknown path", 1_030, b"POST /nothing HTTP/1.1\r\n" + _BODY),
    Attack("idle connections", 2_048, b"", b""),
    Attack("slow headers", 2_048, b"POST /predictions/digits HTTP/1.1\r\nHost: x\r\nX-Slow: "),
    Attack("connections kept open", 2_048, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b""),
)


@dataclass(slots=True)
class Outcome:
    """Responses to the good client, and the number of the attacker's connections that are open at the end."""

    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    still_open: int = 0

    def percentile(self, percent: int) -> float:
        """Return a percentile of the good client's latency in milliseconds."""
        return statistics.quantiles(self.milliseconds, n=100)[percent - 1]


def run(port: int, attack: Attack, path: str, image: bytes, headers: Mapping[str, str], seconds: float) -> Outcome:
    """Attack for some seconds. The good client alternates between a persistent connection and new ones."""
    outcome = Outcome()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS))
            for _ in range(attack.connections)
        ]
        _send(connections, attack.data)
        end = time.monotonic() + seconds
        persistent = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        next_drip = time.monotonic() + DRIP_SECONDS
        while time.monotonic() < end:
            _post(persistent, path, image, headers, outcome)
            fresh = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
            _post(fresh, path, image, headers, outcome)
            fresh.close()
            if time.monotonic() > next_drip:
                _send(connections, attack.drip)
                next_drip = time.monotonic() + DRIP_SECONDS
            time.sleep(PAUSE_SECONDS)
        persistent.close()
        outcome.still_open = sum(_is_open(connection) for connection in connections)
    return outcome


def _send(connections: list[socket.socket], data: bytes) -> None:
    for connection in connections if data else ():
        try:
            connection.sendall(data)
        except OSError:  # closed by the server
            continue


def _is_open(connection: socket.socket) -> bool:
    """Read all responses, and return whether the connection is still open."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _post(connection: HTTPConnection, path: str, image: bytes, headers: Mapping[str, str], outcome: Outcome) -> None:
    start = time.perf_counter()
    try:
        connection.request("POST", path, image, dict(headers))
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, HTTPException):
        connection.close()
        status = 0
    outcome.statuses[status] += 1
    outcome.milliseconds.append((time.perf_counter() - start) * 1000)
