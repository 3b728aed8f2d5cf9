"""Contestants that take turns: all are up, and all but the one whose turn it is are halted.

Starting each anew for each turn would take most of the time; leaving all of them running would let idle threads, timers
and spinning workers of one into the figures of another. A server that does not bear being halted is started again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks.compare import processes
from benchmarks.compare.load import wrk
from benchmarks.compare.reference import Answer, Question, WrongAnswer, ask
from benchmarks.compare.results import three
from benchmarks.compare.systems import Request
from benchmarks.compare.systems.server_process import tree

logger = logging.getLogger(__name__)

# Under load before a turn is measured; the first time, as long as Java's compiler keeps a core busy with what is new.
WARM_SECONDS, FIRST_WARM_SECONDS = 2, 20
# After which what wrk left in queues is answered.
DRAIN_SECONDS = 2
# What the modes are called in tables.
MODE_WORDS = {"box": "out of the box", "engine": "same engine", "": ""}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server that can be started; `name` and `mode` are those of the tables."""

    name: str
    mode: str
    version: str
    start: Callable[[], AbstractContextManager[str]]
    request: Callable[[bytes], Request]
    answer: Answer


@dataclass(slots=True)
class Server:
    """A contestant in the field, and what came of its turns; `error` is why it is out.

    Attributes:
        costs: of each turn, microseconds of CPU for an answer, by part of the bundle.
    """

    contestant: Contestant
    images: Sequence[bytes]
    expected: Sequence[int]
    scratch: Path
    error: str | None = None
    engine: str | None = None
    loads: list[wrk.Load] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)
    _url: str = ""
    _cold: bool = True
    _questions: list[Question] = field(default_factory=list)
    _roots: set[int] = field(default_factory=set)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def title(self) -> str:
        """Its name and its mode, for people to read."""
        return f"{self.contestant.name} {MODE_WORDS[self.contestant.mode]}".strip()

    def start(self) -> None:
        """Start it, ask about every image, and halt it."""
        logger.info("starting %s", self.title)
        before = processes.descendants()
        try:
            self._url, self._cold = self._stack.enter_context(self.contestant.start()), True
            self._roots = processes.descendants() - before
            self._questions = self._ask(self.images, self.expected)
            processes.halt(self._roots)
        except Exception as error:  # whatever a peer fails of stands in its row, and the others go on
            self._roots = processes.descendants() - before
            self._out(error)

    def turn(self, clients: int, seconds: float) -> None:
        """Let it run, warm it, and measure it once."""
        if self.error is None:
            try:
                self._awake()
                warm_seconds, self._cold = FIRST_WARM_SECONDS if self._cold else WARM_SECONDS, False
                with suppress(WrongAnswer):  # what counts is how it is when it is warm
                    wrk.run(self._url, self._questions, clients, warm_seconds, self.scratch)
                # wrk leaves when its time is over, and its last requests wait in queues that may be short: one answer
                # more, and they are through.
                self._ask(self.images[:1], self.expected[:1])
                before = processes.processor_seconds(self._roots)
                load = wrk.run(self._url, self._questions, clients, seconds, self.scratch)
                after = processes.processor_seconds(self._roots)
                # Halted in the middle of an answer, TorchServe goes on past its worker's responseTimeout: it ends the
                # worker, and the next turn is that of another one, which still has to load.
                time.sleep(DRAIN_SECONDS)
                processes.halt(self._roots)
                answers = load.rate * load.seconds
                self.loads.append(load)
                self.costs.append({part: (after[part] - before[part]) / answers * 1e6 for part in after})
                logger.info("%s: %s answers a second, median %s ms", self.title, three(load.rate), three(load.p50))
            except Exception as error:  # as above
                self._out(error)

    def stop(self) -> None:
        """End it, with all of its processes."""
        everything = tree(self._roots)
        processes.go_on(everything)
        self._roots = set()
        try:
            self._stack.close()
        except Exception as error:  # its figures stand, and the others go on
            self.error = self.error or _line(error)
        processes.end(everything)

    def _awake(self) -> None:
        processes.go_on(self._roots)
        try:
            self._ask(self.images, self.expected)
        except Exception:  # it did not bear being halted
            self.stop()
            self.start()
            processes.go_on(self._roots)
            self._ask(self.images, self.expected)

    def _ask(self, images: Sequence[bytes], expected: Sequence[int]) -> list[Question]:
        found = ask(self._url, images, self.contestant.request, self.contestant.answer, expected)
        asked = found[0].request
        got = requests.post(self._url + asked.path, data=asked.body, headers=asked.headers, timeout=60)
        self.engine = got.headers.get("X-Model-Engine")
        return found

    def _out(self, error: Exception) -> None:
        self.error = _line(error)
        logger.info("%s is out: %s", self.title, self.error)
        self.stop()


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@contextmanager
def field_of(
    contestants: Sequence[Contestant], images: Sequence[bytes], expected: Sequence[int], scratch: Path
) -> Iterator[list[Server]]:
    """Start them one after the other; all are stopped in the end."""
    processes.adopt()
    servers = [
        Server(contestant, images, expected, scratch / f"{contestant.name}-{contestant.mode}")
        for contestant in contestants
    ]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.stop()
