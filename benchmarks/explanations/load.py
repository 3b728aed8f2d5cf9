"""Clients that keep asking a server, and how long each answer took; every answer is looked at."""

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
# Processes start within it, and connections are made.
WARM = 3.0


@dataclass(slots=True)
class Answers:
    """What some clients got.

    Attributes:
        milliseconds: of answers with status 200.
        refused: of the others.
        statuses: how many of each, with the error's type.
        methods: how many explanations by each.
    """

    milliseconds: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Of all answers, refusals too, in milliseconds."""
        ordered = sorted(self.milliseconds + self.refused)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def median(self) -> float:
        """Of those with status 200."""
        return statistics.median(self.milliseconds)


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many clients that ask the same, each again as soon as it is answered, or after a pause.

    Attributes:
        behind: whether they run at the lowest priority: what others lose to the server's work for them is of interest,
            and not what they lose to their own, which would be on another machine.
    """

    url: str
    image: bytes
    clients: int
    pause: float = 0.0
    behind: bool = False


def ask(crowds: Sequence[Crowd], seconds: float) -> list[Answers]:
    """Let all crowds ask at once, each from its own process; what is asked in the first WARM seconds is not counted."""
    with ProcessPoolExecutor(len(crowds), multiprocessing.get_context("spawn")) as processes:
        return list(processes.map(_clients, crowds, [seconds] * len(crowds)))


def _clients(crowd: Crowd, seconds: float) -> Answers:
    if crowd.behind:
        os.nice(19)
    answers, lock, began = Answers(), threading.Lock(), time.monotonic()

    def client(_: int) -> None:
        with requests.Session() as session:
            while time.monotonic() - began < WARM + seconds:
                start = time.monotonic()
                answer = session.post(crowd.url, data=crowd.image, timeout=TIMEOUT)
                took = 1000 * (time.monotonic() - start)
                if start - began >= WARM:
                    with lock:
                        _note(answers, answer, took)
                time.sleep(crowd.pause)

    with ThreadPoolExecutor(crowd.clients) as threads:
        for _ in threads.map(client, range(crowd.clients)):
            pass
    return answers


def _note(answers: Answers, answer: requests.Response, took: float) -> None:
    if answer.headers["Content-Type"] == "image/png":
        answers.milliseconds.append(took)
        answers.statuses["200"] += 1
        return
    body = answer.json()
    if answer.ok:
        answers.milliseconds.append(took)
        answers.methods[body.get("method", "predict")] += 1
        answers.statuses["200"] += 1
    else:
        answers.refused.append(took)
        answers.statuses[f"{answer.status_code} {body['type']}"] += 1
