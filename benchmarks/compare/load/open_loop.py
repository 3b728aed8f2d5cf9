"""Open-loop load: each request leaves at its planned time, whatever happened to those before.

Latency counts from the planned time, not from when a connection was free. So a server that stalls does not look better
than its users see it (coordinated omission; Tene, "How NOT to measure latency", 2013). The generator is asyncio in a
process of its own, for hundreds of requests per second, not tens of thousands.
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

from benchmarks.compare.reference import TOLERANCE, ReferenceRequest

# Time to wait for responses after the last request has left.
RESPONSE_SECONDS = 60.0


@dataclass(slots=True)
class OfferedLoad:
    """Result of an offered load.

    Attributes:
        rate: offered requests per second.
        seconds: length of the load.
        milliseconds: latencies of right responses, from the planned time of the request.
        refused: how often each other status occurred. Status 0: no response.
        wrong: number of responses with status 200 that differ from those of the idle server.
        generator_delay: maximum delay of the generator behind its own schedule, in milliseconds.
    """

    rate: float
    seconds: float
    milliseconds: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    generator_delay: float = 0.0

    @property
    def answered(self) -> float:
        """Right responses per second of the load."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """Return a percentile of the latency of right responses in milliseconds; 0 without a right response."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def run(url: str, references: Sequence[ReferenceRequest], rate: float, seconds: float) -> OfferedLoad:
    """Send the reference requests in a cycle, `rate` times per second at even intervals."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_run, url, list(references), rate, seconds).result()


def _run(url: str, references: Sequence[ReferenceRequest], rate: float, seconds: float) -> OfferedLoad:
    return asyncio.run(_Generator(url, OfferedLoad(rate, seconds)).run(references))


class _Generator:
    """Sends requests over a pool of connections, the last used one first. If none is free, it opens another one."""

    def __init__(self, url: str, load: OfferedLoad) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._load = load
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, references: Sequence[ReferenceRequest]) -> OfferedLoad:
        texts = [self._text(reference) for reference in references]
        start, tasks = time.monotonic() + 0.1, set()
        for number in range(round(self._load.rate * self._load.seconds)):
            due = start + number / self._load.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._load.generator_delay = max(self._load.generator_delay, 1000 * (time.monotonic() - due))
            index = number % len(references)
            tasks.add(asyncio.create_task(self._send(texts[index], references[index], due)))
        _, pending = await asyncio.wait(tasks, timeout=RESPONSE_SECONDS)
        for task in pending:
            task.cancel()
            self._load.refused[0] += 1
        for _, writer in self._free:
            writer.close()
        return self._load

    async def _send(self, text: bytes, reference: ReferenceRequest, due: float) -> None:
        try:
            status, body = await self._exchange(text)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._load.refused[0] += 1
            return
        if status != 200:
            self._load.refused[status] += 1
        elif _is_right(body, reference):
            self._load.milliseconds.append(1000 * (time.monotonic() - due))
        else:
            self._load.wrong += 1

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

    def _text(self, reference: ReferenceRequest) -> bytes:
        post = reference.request
        headers = {"Host": f"{self._host}:{self._port}", **post.headers, "Content-Length": str(len(post.body))}
        lines = [f"POST {post.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("ascii") + post.body


def _is_right(body: bytes, reference: ReferenceRequest) -> bool:
    """Return whether the response is that of the idle server."""
    top = json.loads(body)["predictions"][0]
    return bool(top["index"] == reference.index and abs(top["probability"] - reference.probability) <= TOLERANCE)
