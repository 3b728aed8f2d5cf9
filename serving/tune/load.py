"""Many clients around one server, cheap enough to run beside it: a loop over sockets, in a process of its own.

Each client keeps a connection open, and sends its next request when it has the answer to the last (a closed loop).
So it does not say what a server does that is asked faster than it answers; and a moment in which the server stands
still costs one slow answer a client, not all those that others would have sent meanwhile (coordinated omission). It
reads no answers without Content-Length, follows no redirects, and speaks no TLS.
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
# Before counting begins, so that the first batches, which come one by one, are not counted.
WARM_SECONDS = 0.5
_CHILD = "from serving.tune.load import main; main()"


@dataclass(frozen=True, slots=True)
class Question:
    """A whole HTTP/1.1 request, and the answer to it: this label, at this probability."""

    request: bytes
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Order:
    """What to do: `clients` ask `questions` in turn for `seconds`; probabilities may be off by `tolerance`."""

    address: tuple[str, int]
    questions: Sequence[Question]
    clients: int
    seconds: float
    tolerance: float


@dataclass(slots=True)
class Round:
    """What came of one order.

    Attributes:
        answers: right ones that arrived within `seconds`.
        latencies: milliseconds, of these and of the right ones that were still awaited at the end.
        errors: how often what went wrong.
    """

    clients: int
    seconds: float
    answers: int = 0
    latencies: array[float] = field(default_factory=lambda: array("f"))
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.answers / self.seconds


def percentile(latencies: Sequence[float], share: float) -> float:
    """The smallest latency that at least this share of all does not exceed; infinite where there is none."""
    ordered = sorted(latencies)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def ask(order: Order) -> Round:
    """Carry out an order in a process of its own, which takes a tenth of a second to start.

    Raises:
        ValueError: that process failed.
    """
    done = subprocess.run([sys.executable, "-c", _CHILD], input=pickle.dumps(order), capture_output=True, cwd=ROOT)
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"the load generator failed: {last}")
    found: Round = pickle.loads(done.stdout)
    return found


def main() -> None:
    """The other side of `ask`: an order on stdin, a round on stdout."""
    sys.stdout.buffer.write(pickle.dumps(run(pickle.load(sys.stdin.buffer))))


class _Client:
    """One connection, and what it waits for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.waits = False

    def send(self, question: Question) -> None:
        self.question = question
        self.sent = time.perf_counter()
        self.waits = True
        self.socket.sendall(question.request)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, once all of it is here.

        Raises:
            ValueError: this is no answer that can be read here.
            ConnectionError: the server hung up.
        """
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError
        self.received += chunk
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[: end + 2]).lower()
        _, named, rest = head.partition(b"\r\ncontent-length:")
        if not named:
            raise ValueError("an answer without Content-Length")
        whole = end + 4 + int(rest.partition(b"\r\n")[0])
        if len(self.received) < whole:
            return None
        body = bytes(self.received[end + 4 : whole])
        self.received.clear()
        self.waits = False
        return int(head.split(b" ", 2)[1]), body


def run(order: Order) -> Round:
    """Carry out an order in this process."""
    found = Round(order.clients, order.seconds)
    selector = selectors.DefaultSelector()
    turn = 0

    def send(client: _Client) -> None:
        nonlocal turn
        client.send(order.questions[turn % len(order.questions)])
        turn += 1

    def connect() -> None:
        try:
            client = _Client(order.address)
            selector.register(client.socket, selectors.EVENT_READ, client)
            send(client)
        except OSError as error:
            found.errors[f"no connection: {error.strerror or error}"] += 1

    begin = time.perf_counter() + WARM_SECONDS
    end = begin + order.seconds
    for _ in range(order.clients):
        connect()
    while selector.get_map() and (now := time.perf_counter()) < end + PATIENCE_SECONDS:
        for key, _ in selector.select(end + PATIENCE_SECONDS - now):
            client: _Client = key.data
            try:
                answer = client.answer()
                if answer is None:
                    continue
                now = time.perf_counter()
                reason = wrong(client.question, *answer, order.tolerance)
                if reason:
                    found.errors[reason] += 1
                elif now >= begin:
                    found.latencies.append((now - client.sent) * 1000)
                    found.answers += now <= end
                if now < end:
                    send(client)
                    continue
            except (OSError, ValueError) as error:
                found.errors[str(error) or "the connection was closed without an answer"] += 1
            selector.unregister(client.socket)
            client.socket.close()
            if now < end and client.waits:  # it failed: another takes its place
                connect()
    found.errors["no answer in time"] += len(selector.get_map())
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    selector.close()
    found.errors = +found.errors  # without those that never happened
    return found


def wrong(question: Question, status: int, body: bytes, tolerance: float) -> str | None:
    """What is wrong with an answer: a fast wrong one is worth nothing."""
    if status != 200:
        return f"status {status}"
    try:
        listed: list[dict[str, Any]] = json.loads(body)["predictions"]
        found = {item["label"]: item["probability"] for item in listed}
    except (ValueError, KeyError, TypeError):
        return "no prediction"
    if not abs(found.get(question.label, 0.0) - question.probability) <= tolerance:
        return "a wrong answer"
    return None
