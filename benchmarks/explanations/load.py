"""Clients that keep asking a server, and how long each answer took; every answer is looked at."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import requests

TIMEOUT = 120


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
    """So many clients that ask the same, each again as soon as it is answered, or after a pause."""

    url: str
    image: bytes
    clients: int
    pause: float = 0.0


def ask(crowds: Sequence[Crowd], seconds: float, warm: float = 2.0) -> list[Answers]:
    """Let all crowds ask at once; what came within the first `warm` seconds is left out."""
    found = [Answers() for _ in crowds]
    began = time.monotonic()
    lock = threading.Lock()

    def client(crowd: Crowd, answers: Answers) -> None:
        with requests.Session() as session:
            while time.monotonic() - began < warm + seconds:
                start = time.monotonic()
                answer = session.post(crowd.url, data=crowd.image, timeout=TIMEOUT)
                took = 1000 * (time.monotonic() - start)
                if start - began >= warm:
                    with lock:
                        _note(answers, answer, took)
                time.sleep(crowd.pause)

    threads = [
        threading.Thread(target=client, args=(crowd, answers), daemon=True)
        for crowd, answers in zip(crowds, found, strict=True)
        for _ in range(crowd.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _note(answers: Answers, answer: requests.Response, took: float) -> None:
    body = answer.json()
    if answer.ok:
        answers.milliseconds.append(took)
        answers.methods[body.get("method", "predict")] += 1
        answers.statuses["200"] += 1
    else:
        answers.refused.append(took)
        answers.statuses[f"{answer.status_code} {body['type']}"] += 1


def interleaved(first: Callable[[], float], second: Callable[[], float], rounds: int) -> list[tuple[float, float]]:
    """Two measurements in turn, so that noise hits both alike."""
    return [(first(), second()) for _ in range(rounds)]
