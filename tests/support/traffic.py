"""Open-loop traffic in the background: a constant rate of predictions, whatever happened to those before.

Latency counts from the planned time of a request, so a server that stalls does not look better than its users see it
(coordinated omission; Tene, "How NOT to measure latency", 2013). The generator has a process of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from urllib.parse import urlsplit

# Time to wait for responses after the last request was sent.
RESPONSE_SECONDS = 60.0
VERSION_HEADER = "x-model-version:"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response.

    Attributes:
        due: planned time of the request, seconds since the epoch.
        seconds: time from then to the response.
        status: of the response; 0: there was none.
        version: of the model that answered; empty if the response does not say.
    """

    due: float
    seconds: float
    status: int
    version: str

    @property
    def received(self) -> float:
        """Return the time of the response, seconds since the epoch."""
        return self.due + self.seconds


class Traffic:
    """Predictions for one model, from the start to the end of a `with` block. `answers` has the responses after it.

    Args:
        url: of the request, such as `http://127.0.0.1:8080/predictions/digits`.
        images: bodies of the requests, sent in turn.
        rate: requests per second, at even intervals.
    """

    def __init__(self, url: str, images: Sequence[bytes], rate: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, remote = context.Pipe()
        self._process = context.Process(target=_run, args=(remote, url, list(images), rate), daemon=True)
        self.answers: list[Answer] = []

    def __enter__(self) -> Traffic:
        self._process.start()
        self._pipe.recv()  # the first request leaves now
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send("stop")
        self.answers = self._pipe.recv()
        self._process.join(10)

    @property
    def failed(self) -> list[Answer]:
        """Return the responses with another status than 200, and the requests without a response."""
        return [answer for answer in self.answers if answer.status != 200]


def _run(pipe: Connection, url: str, images: Sequence[bytes], rate: float) -> None:
    pipe.send(asyncio.run(_Generator(url, images, rate).run(pipe)))


class _Generator:
    """Sends requests over a pool of connections, the last used one first. If none is free, it opens another one."""

    def __init__(self, url: str, images: Sequence[bytes], rate: float) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        head = f"POST {address.path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Length: "
        self._texts = [f"{head}{len(image)}\r\n\r\n".encode("ascii") + image for image in images]
        self._rate = rate
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._answers: list[Answer] = []

    async def run(self, pipe: Connection) -> list[Answer]:
        tasks: set[asyncio.Task[None]] = set()
        number, start = 0, time.time()
        pipe.send("started")
        while not pipe.poll():
            due = start + number / self._rate
            await asyncio.sleep(max(0.0, due - time.time()))
            task = asyncio.create_task(self._send(self._texts[number % len(self._texts)], due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        pipe.recv()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=RESPONSE_SECONDS)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        for _, writer in self._free:
            writer.close()
        return self._answers

    async def _send(self, text: bytes, due: float) -> None:
        status, version = 0, ""
        try:
            status, version = await self._exchange(text)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self._answers.append(Answer(due, time.time() - due, status, version))

    async def _exchange(self, text: bytes) -> tuple[int, str]:
        reader, writer = await self._connection()
        try:
            writer.write(text)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer))
        version = head.partition(VERSION_HEADER)[2].partition("\r\n")[0].strip()
        return int(head.split(" ", 2)[1]), version

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():  # the server may close an idle connection
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)
