"""Send hostile requests through the proxy, and count the answers: one for each, and none to what was hidden in it."""

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
# A good client asks after so many hostile requests.
VICTIM_EVERY = 10


@dataclass(slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        statuses: how many hostile requests got each status; 0 is a connection that was closed without an answer.
        from_model: answers, to whomever, that a worker gave.
        victims: requests of the good client, each answered under its own id.
        violations: sentences on answers that must not have been given.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    from_model: int = 0
    victims: int = 0
    violations: list[str] = field(default_factory=list)


def run(port: int, hostile: Iterable[HostileRequest], victim: Victim, source: str = "127.0.0.1") -> Outcome:
    """Send each request on a connection of its own, and ask for something else on the same one behind it.

    Args:
        source: the loopback address that hostile requests come from.
    """
    outcome = Outcome()
    for number, request in enumerate(hostile):
        _exchange(port, source, number, request, outcome)
        if number % VICTIM_EVERY == 0:
            victim.ask(outcome)
    victim.ask(outcome)
    return outcome


class Victim:
    """A good client that keeps its connection, and looks whether each answer is its own."""

    def __init__(self, port: int, path: str, image: bytes, headers: Mapping[str, str]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._path, self._image, self._headers = path, image, headers

    def ask(self, outcome: Outcome) -> None:
        """Classify the image once."""
        outcome.victims += 1
        identity = f"victim-{outcome.victims}"
        self._connection.request("POST", self._path, self._image, {**self._headers, "X-Request-Id": identity})
        answer = self._connection.getresponse()
        body = orjson.loads(answer.read())
        outcome.from_model += answer.getheader("X-Model-Version") is not None
        if (answer.status, answer.getheader("X-Request-Id"), body.get("request_id")) != (200, identity, identity):
            outcome.violations.append(f"{identity} was answered {answer.status} {body}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _exchange(port: int, source: str, number: int, request: HostileRequest, outcome: Outcome) -> None:
    sentinel = f"sentinel-{number}"
    address = ("127.0.0.1", port)
    with socket.create_connection(address, TIMEOUT_SECONDS, source_address=(source, 0)) as connection:
        try:
            connection.sendall(request.data)
            answers = _Answers(connection)
            status, headers, body = answers.read(request.method)
        except (OSError, HTTPException):
            outcome.statuses[0] += 1
            return
        outcome.statuses[status] += 1
        outcome.from_model += "x-model-version" in headers
        if MARK.encode() in body or headers.get("x-request-id") == MARK:
            outcome.violations.append(f"the inner request was answered: {request.description}")
        try:
            behind = f"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: {sentinel}\r\nConnection: close\r\n\r\n"
            connection.sendall(behind.encode())
            _, headers, body = answers.read("GET")
        except (OSError, HTTPException):  # closed, as it may be
            return
        if headers.get("x-request-id") not in (sentinel, None):
            outcome.violations.append(f"two answers to one request: {request.description}: {headers} {body[:100]!r}")


class _Answers:
    """The answers that come over one connection; bytes behind an answer belong to the next one."""

    def __init__(self, connection: socket.socket) -> None:
        self._reader = _Reader(socket.SocketIO(connection, "r"))

    def makefile(self, mode: str) -> _Reader:
        """Return what HTTPResponse reads from, as a socket does."""
        return self._reader

    def read(self, method: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers in lower case and body of one final answer, past any 100 Continue.

        Raises:
            OSError, HTTPException: the connection was closed before, or is silent.
        """
        response = HTTPResponse(cast(socket.socket, self), method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


class _Reader(io.BufferedReader):
    """A reader that HTTPResponse does not close behind an answer."""

    def close(self) -> None:
        """Stay open: the socket is closed by who opened it."""
