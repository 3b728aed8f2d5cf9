"""Open-loop load: requests leave when their time has come, whatever became of those before.

A latency counts from that time and not from when a connection was free, so a server that stalls does not look better
than its users find it (coordinated omission; Tene, "How NOT to measure latency", 2013). The generator is asyncio in a
process of its own: it is for servers that answer hundreds of requests a second, not tens of thousands.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.compare.reference import TOLERANCE, Question

# After the last request has left, so long is waited for answers.
PATIENCE = 60.0


@dataclass(slots=True)
class Offered:
    """What came of an offered load.

    Attributes:
        rate: requests a second that were offered.
        seconds: for which they were.
        milliseconds: of right answers, from when the request was due.
        refused: statuses of the others, among them 0: no answer.
        wrong: answers with status 200 that were not those of the idle server.
        late: by how many milliseconds the generator itself was behind its schedule, at most.
    """

    rate: float
    seconds: float
    milliseconds: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    late: float = 0.0

    @property
    def answered(self) -> float:
        """Right answers for each second of the load."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """Of the right answers, in milliseconds; 0 where there is none."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def offer(url: str, questions: Sequence[Question], rate: float, seconds: float) -> Offered:
    """Ask about the images in turn, `rate` times a second at even distances."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_offer, url, list(questions), rate, seconds).result()


def _offer(url: str, questions: Sequence[Question], rate: float, seconds: float) -> Offered:
    return asyncio.run(_Generator(url, Offered(rate, seconds)).run(questions))


class _Generator:
    """Connections are kept and used again, the one that was free last first; where none is free, one more is opened."""

    def __init__(self, url: str, found: Offered) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._found = found
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, questions: Sequence[Question]) -> Offered:
        texts = [self._text(question) for question in questions]
        began, waiting = time.monotonic() + 0.1, set()
        for number in range(round(self._found.rate * self._found.seconds)):
            due = began + number / self._found.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._found.late = max(self._found.late, 1000 * (time.monotonic() - due))
            place = number % len(questions)
            waiting.add(asyncio.create_task(self._one(texts[place], questions[place], due)))
        _, left = await asyncio.wait(waiting, timeout=PATIENCE)
        for task in left:
            task.cancel()
            self._found.refused[0] += 1
        for _, writer in self._free:
            writer.close()
        return self._found

    async def _one(self, text: bytes, question: Question, due: float) -> None:
        try:
            status, body = await self._exchange(text)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._found.refused[0] += 1
            return
        if status != 200:
            self._found.refused[status] += 1
        elif _is_right(body, question):
            self._found.milliseconds.append(1000 * (time.monotonic() - due))
        else:
            self._found.wrong += 1

    async def _exchange(self, text: bytes) -> tuple[int, bytes]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(text)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("content-length:")[2].partition("\r\n")[0]
            body = await reader.readexactly(int(length))
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(head.split(" ", 2)[1]), body

    def _text(self, question: Question) -> bytes:
        asked = question.request
        headers = {"Host": f"{self._host}:{self._port}", **asked.headers, "Content-Length": str(len(asked.body))}
        lines = [f"POST {asked.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("ascii") + asked.body


def _is_right(body: bytes, question: Question) -> bool:
    """Whether it is what this server answered when it was idle."""
    best = json.loads(body)["predictions"][0]
    return bool(best["index"] == question.index and abs(best["probability"] - question.probability) <= TOLERANCE)
