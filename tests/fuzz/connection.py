"""Requests as bytes over a socket: what HTTP libraries refuse to send is what a server has to be tried with."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from dataclasses import dataclass
from typing import Any

HUNG_UP = 0
TOO_LATE = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Without an answer, the status is HUNG_UP where the connection was closed, else TOO_LATE."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


class Line:
    """One client's connection to one server, kept open as long as the server keeps it open."""

    def __init__(self, address: tuple[str, int], patience: float = 30) -> None:
        self._address = address
        self._patience = patience
        self._socket: socket.socket | None = None

    def ask(self, request: bytes, method: str = "POST", *, keep: bool = True) -> Answer:
        """Send a request and read its answer; with `keep`, the connection may serve the next one too."""
        began = time.monotonic()
        reused = self._socket is not None
        answer = self._ask(request, method, keep, began)
        if answer.status == HUNG_UP and reused:  # closed since its last answer, as any server may
            answer = self._ask(request, method, keep, began)
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, request: bytes, method: str, keep: bool, began: float) -> Answer:
        deadline = began + self._patience
        status, headers, body, open_still = HUNG_UP, {}, b"", False
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=self._patience)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            whole = _send(self._socket, request, deadline)
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            response = http.client.HTTPResponse(self._socket, method=method)
            response.begin()
            body = response.read()
            status, headers = response.status, {name.lower(): value for name, value in response.getheaders()}
            open_still = whole and keep and not response.will_close
        except TimeoutError:
            status = TOO_LATE
        except (OSError, http.client.HTTPException):
            status = HUNG_UP
        if not open_still:
            self.close()
        return Answer(status, headers, body, time.monotonic() - began)


def _send(connection: socket.socket, request: bytes, deadline: float) -> bool:
    """Send until all is sent, or the server speaks or hangs up before it is: what it said can then still be read."""
    connection.setblocking(False)
    rest = memoryview(request)
    while rest:
        readable, writable, _ = select.select([connection], [connection], [], max(0.0, deadline - time.monotonic()))
        if readable:
            return False
        if not writable:
            raise TimeoutError
        try:
            rest = rest[connection.send(rest[:262_144]) :]
        except ConnectionError:
            return False
    return True
