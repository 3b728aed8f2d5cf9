"""Send hostile requests through the proxy, and count responses: one per request, and none for an inner request."""

from __future__ import annotations

import io
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import cast

import orjson

from benchmarks.attacks.hostile import MARK, HostileRequest

TIMEOUT_SECONDS = 5.0
# The victim sends a request after this number of hostile requests.
VICTIM_EVERY = 10


@dataclass(slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        statuses: number of hostile requests by status. Status 0: closed without a response.
        from_model: number of responses from a worker, to any client.
        victims: number of requests of the victim.
        violations: sentences about responses that break a requirement.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    from_model: int = 0
    victims: int = 0
    violations: list[str] = field(default_factory=list)


def run(port: int, hostile: Iterable[HostileRequest], victim: Victim, source: str = "127.0.0.1") -> Outcome:
    """Send each request on a new connection, followed by a harmless request.

    Args:
        port: port of the proxy.
        hostile: the requests.
        victim: a good client.
        source: loopback address of the hostile requests.
    """
    outcome = Outcome()
    for number, request in enumerate(hostile):
        _exchange(port, source, number, request, outcome)
        if number % VICTIM_EVERY == 0:
            victim.send(outcome)
    victim.send(outcome)
    return outcome


class Victim:
    """A good client with a persistent connection, which checks that each response is its own."""

    def __init__(self, port: int, path: str, image: bytes, headers: Mapping[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._path, self._image, self._headers = path, image, headers

    def send(self, outcome: Outcome) -> None:
        """Send the image once, and check the response."""
        outcome.victims += 1
        identity = f"victim-{outcome.victims}"
        self._connection.request("POST", self._path, self._image, {**self._headers, "X-Request-Id": identity})
        response = self._connection.getresponse()
        body = orjson.loads(response.read())
        outcome.from_model += response.getheader("X-Model-Version") is not None
        if (response.status, response.getheader("X-Request-Id"), body.get("request_id")) != (200, identity, identity):
            outcome.violations.append(f"{identity} got {response.status} {body}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _exchange(port: int, source: str, number: int, request: HostileRequest, outcome: Outcome) -> None:
    sentinel = f"sentinel-{number}"
    address = ("127.0.0.1", port)
    with socket.create_connection(address, TIMEOUT_SECONDS, source_address=(source, 0)) as connection:
        try:
            connection.sendall(request.data)
            responses = _Responses(connection)
            status, headers, body = responses.read(request.method)
        except (OSError, HTTPException):
            outcome.statuses[0] += 1
            return
        outcome.statuses[status] += 1
        outcome.from_model += "x-model-version" in headers
        if MARK.encode() in body or headers.get("x-request-id") == MARK:
            outcome.violations.append(f"the inner request got a response: {request.description}")
        try:
            harmless = (
                f"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: {sentinel}\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(harmless.encode())
            _, headers, body = responses.read("GET")
        except (OSError, HTTPException):  # the server may close the connection
            return
        if headers.get("x-request-id") not in (sentinel, None):
            outcome.violations.append(f"two responses to one request: {request.description}: {headers} {body[:100]!r}")


class _Responses:
    """Responses on one connection. Bytes after a response belong to the next one."""

    def __init__(self, connection: socket.socket) -> None:
        self._reader = _Reader(socket.SocketIO(connection, "r"))

    def makefile(self, mode: str) -> _Reader:
        """Return the reader for HTTPResponse, as a socket does."""
        return self._reader

    def read(self, method: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers in lower case and body of the next final response, after any 100 Continue.

        Raises:
            OSError, HTTPException: the connection is closed, or there is no response in time.
        """
        response = HTTPResponse(cast(socket.socket, self), method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


class _Reader(io.BufferedReader):
    """A reader that HTTPResponse does not close after a response."""

    def close(self) -> None:
        """Do nothing: the opener of the socket closes it."""
