"""Load generator for one server, cheap enough to run beside it: a loop over sockets, in its own process.

It is a closed loop: each client keeps a connection open, and sends its next request after the response to the last one.
So it cannot measure a server that gets requests faster than it answers, and a pause of the server counts as one slow
response for each client (coordinated omission). Responses need Content-Length; redirects and TLS are not supported.
"""

from __future__ import annotations

import json
import math
import pickle
import selectors
import socket
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
# Warm-up: the first batches have one request each, and are not counted.
WARM_SECONDS = 0.5
_CHILD = "from serving.tune.load import main; main()"


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """A complete HTTP/1.1 request, with the expected label and probability."""

    content: bytes
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Load:
    """A load: `clients` send `requests` in turn for `seconds`. Probabilities may differ by `tolerance`."""

    address: tuple[str, int]
    requests: Sequence[ReferenceRequest]
    clients: int
    seconds: float
    tolerance: float


@dataclass(slots=True)
class Round:
    """Result of one load.

    Attributes:
        answers: number of correct responses within `seconds`.
        latencies: milliseconds of these responses, and of correct ones that arrived later.
        errors: number of failures by message.
    """

    clients: int
    seconds: float
    answers: int = 0
    latencies: array[float] = field(default_factory=lambda: array("f"))
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Return the correct responses per second."""
        return self.answers / self.seconds


def percentile(latencies: Sequence[float], share: float) -> float:
    """Return the smallest latency that at least this share does not exceed; infinity without latencies."""
    ordered = sorted(latencies)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def run_in_process(load: Load) -> Round:
    """Apply a load from another process, which takes a tenth of a second to start.

    Raises:
        ValueError: that process failed.
    """
    completed = subprocess.run([sys.executable, "-c", _CHILD], input=pickle.dumps(load), capture_output=True, cwd=ROOT)
    if completed.returncode != 0:
        last = (completed.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"the load generator failed: {last}")
    result: Round = pickle.loads(completed.stdout)
    return result


def main() -> None:
    """Run the other side of `run_in_process`: a load on stdin, a round on stdout."""
    sys.stdout.buffer.write(pickle.dumps(run(pickle.load(sys.stdin.buffer))))


class _Client:
    """One connection, and the request it waits for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.waits = False

    def send(self, request: ReferenceRequest) -> None:
        self.request = request
        self.sent = time.perf_counter()
        self.waits = True
        self.socket.sendall(request.content)

    def response(self) -> tuple[int, bytes] | None:
        """Return status and body once the response is complete, None before.

        Raises:
            ValueError: the response has no Content-Length.
            ConnectionError: the server closed the connection.
        """
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError
        self.received += chunk
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[: end + 2]).lower()
        _, named, tail = head.partition(b"\r\ncontent-length:")
        if not named:
            raise ValueError("a response without Content-Length")
        length = end + 4 + int(tail.partition(b"\r\n")[0])
        if len(self.received) < length:
            return None
        body = bytes(self.received[end + 4 : length])
        self.received.clear()
        self.waits = False
        return int(head.split(b" ", 2)[1]), body


def run(load: Load) -> Round:
    """Apply a load from this process."""
    result = Round(load.clients, load.seconds)
    selector = selectors.DefaultSelector()
    turn = 0

    def send(client: _Client) -> None:
        nonlocal turn
        client.send(load.requests[turn % len(load.requests)])
        turn += 1

    def connect() -> None:
        try:
            client = _Client(load.address)
            selector.register(client.socket, selectors.EVENT_READ, client)
            send(client)
        except OSError as error:
            result.errors[f"no connection: {error.strerror or error}"] += 1

    begin = time.perf_counter() + WARM_SECONDS
    end = begin + load.seconds
    for _ in range(load.clients):
        connect()
    while selector.get_map() and (now := time.perf_counter()) < end + PATIENCE_SECONDS:
        for key, _ in selector.select(end + PATIENCE_SECONDS - now):
            client: _Client = key.data
            try:
                response = client.response()
                if response is None:
                    continue
                now = time.perf_counter()
                reason = failure(client.request, *response, load.tolerance)
                if reason:
                    result.errors[reason] += 1
                elif now >= begin:
                    result.latencies.append((now - client.sent) * 1000)
                    result.answers += now <= end
                if now < end:
                    send(client)
                    continue
            except (OSError, ValueError) as error:
                result.errors[str(error) or "the connection was closed without a response"] += 1
            selector.unregister(client.socket)
            client.socket.close()
            if now < end and client.waits:  # it failed: a new one replaces it
                connect()
    result.errors["no response in time"] += len(selector.get_map())
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    result.errors = +result.errors  # without zero counts
    return result


def failure(request: ReferenceRequest, status: int, body: bytes, tolerance: float) -> str | None:
    """Return why a response is not correct, or None: fast wrong responses must not count."""
    if status != 200:
        return f"status {status}"
    try:
        listed: list[dict[str, Any]] = json.loads(body)["predictions"]
        probabilities = {item["label"]: item["probability"] for item in listed}
    except (ValueError, KeyError, TypeError):
        return "no prediction"
    if not abs(probabilities.get(request.label, 0.0) - request.probability) <= tolerance:
        return "a wrong answer"
    return None
