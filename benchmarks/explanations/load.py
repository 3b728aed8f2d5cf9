"""Groups of clients that send requests without end, and the latency and status of each response."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

TIMEOUT = 120
# Time for processes to start and connections to open.
WARM_UP_SECONDS = 3.0


@dataclass(slots=True)
class Responses:
    """Responses to a group of clients.

    Attributes:
        milliseconds: latencies of responses with status 200.
        refused: latencies of other responses.
        statuses: number of responses by status, with the type of the error.
        methods: number of explanations by method.
    """

    milliseconds: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Return a percentile of the latency of all responses in milliseconds."""
        ordered = sorted(self.milliseconds + self.refused)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def median(self) -> float:
        """Median latency of responses with status 200 in milliseconds."""
        return statistics.median(self.milliseconds)


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """Clients that send the same request again and again.

    Attributes:
        clients: number of clients.
        pause: seconds between a response and the next request.
        low_priority: run the clients at the lowest priority. Then the server's work for them slows others, and the
            clients' own work does not. In practice, clients run on another machine.
    """

    url: str
    image: bytes
    clients: int
    pause: float = 0.0
    low_priority: bool = False


def run(groups: Sequence[ClientGroup], seconds: float) -> list[Responses]:
    """Run all groups at once, each in a process. Requests of the first WARM_UP_SECONDS do not count."""
    with ProcessPoolExecutor(len(groups), multiprocessing.get_context("spawn")) as processes:
        return list(processes.map(_clients, groups, [seconds] * len(groups)))


def _clients(group: ClientGroup, seconds: float) -> Responses:
    if group.low_priority:
        os.nice(19)
    responses, lock, start = Responses(), threading.Lock(), time.monotonic()

    def client(_: int) -> None:
        with requests.Session() as session:
            while time.monotonic() - start < WARM_UP_SECONDS + seconds:
                sent = time.monotonic()
                response = session.post(group.url, data=group.image, timeout=TIMEOUT)
                milliseconds = 1000 * (time.monotonic() - sent)
                if sent - start >= WARM_UP_SECONDS:
                    with lock:
                        _count(responses, response, milliseconds)
                time.sleep(group.pause)

    with ThreadPoolExecutor(group.clients) as threads:
        for _ in threads.map(client, range(group.clients)):
            pass
    return responses


def _count(responses: Responses, response: requests.Response, milliseconds: float) -> None:
    if response.headers["Content-Type"] == "image/png":
        responses.milliseconds.append(milliseconds)
        responses.statuses["200"] += 1
        return
    body = response.json()
    if response.ok:
        responses.milliseconds.append(milliseconds)
        responses.methods[body.get("method", "predict")] += 1
        responses.statuses["200"] += 1
    else:
        responses.refused.append(milliseconds)
        responses.statuses[f"{response.status_code} {body['type']}"] += 1
