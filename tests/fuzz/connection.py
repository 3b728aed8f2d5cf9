"""HTTP requests as bytes over a socket, so that a test can send what HTTP libraries refuse to send."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from dataclasses import dataclass
from typing import Any

CONNECTION_CLOSED = 0
TIMED_OUT = -1


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response. Without one, the status is CONNECTION_CLOSED or TIMED_OUT."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """Return the body, parsed as JSON.

        Raises:
            ValueError: the body is not JSON.
        """
        return json.loads(self.body)


class RawConnection:
    """A client's connection to a server. It stays open for as long as the server keeps it open."""

    def __init__(self, address: tuple[str, int], timeout: float = 30) -> None:
        self._address = address
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def send(self, request: bytes, method: str = "POST", *, keep: bool = True) -> RawResponse:
        """Send a request and return its response. With `keep`, the connection may serve the next request too."""
        start = time.monotonic()
        reused = self._socket is not None
        response = self._send(request, method, keep, start)
        if response.status == CONNECTION_CLOSED and reused:  # a server may close a connection between two requests
            response = self._send(request, method, keep, start)
        return response

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, request: bytes, method: str, keep: bool, start: float) -> RawResponse:
        deadline = start + self._timeout
        status, headers, body, still_open = CONNECTION_CLOSED, {}, b"", False
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=self._timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent_all = _send_all(self._socket, request, deadline)
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            response = http.client.HTTPResponse(self._socket, method=method)
            response.begin()
            body = response.read()
            status, headers = response.status, {name.lower(): value for name, value in response.getheaders()}
            still_open = sent_all and keep and not response.will_close
        except TimeoutError:
            status = TIMED_OUT
        except (OSError, http.client.HTTPException):
            status = CONNECTION_CLOSED
        if not still_open:
            self.close()
        return RawResponse(status, headers, body, time.monotonic() - start)


def _send_all(connection: socket.socket, request: bytes, deadline: float) -> bool:
    """Send the request and return True. Return False as soon as the server responds or closes the connection.

    An early response can then still be read.
    """
    connection.setblocking(False)
    unsent = memoryview(request)
    while unsent:
        readable, writable, _ = select.select([connection], [connection], [], max(0.0, deadline - time.monotonic()))
        if readable:
            return False
        if not writable:
            raise TimeoutError
        try:
            unsent = unsent[connection.send(unsent[:262_144]) :]
        except ConnectionError:
            return False
    return True
