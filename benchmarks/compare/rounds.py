"""Interleaved rounds: all systems under test run, and all but the measured one are paused.

Starting each system anew for each round would take most of the time. If all systems ran, the idle threads, timers and
spinning workers of one would disturb the figures of another. A system that does not survive a pause is started again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from benchmarks.compare import processes, reference
from benchmarks.compare.load import wrk
from benchmarks.compare.reference import ParseResponse, ReferenceRequest, WrongResponse
from benchmarks.compare.results import three_digits
from benchmarks.compare.systems import Request

logger = logging.getLogger(__name__)

# Warm-up under load before a measurement. The first one is longer: Java's compiler keeps a core busy with new code.
WARM_UP_SECONDS, FIRST_WARM_UP_SECONDS = 2, 20
# Time for a server to answer the requests that wrk left in its queues.
DRAIN_SECONDS = 2
# Names of the modes in tables.
MODE_NAMES = {"default": "out of the box", "engine": "same engine", "": ""}


@dataclass(frozen=True, slots=True)
class SystemUnderTest:
    """A server that can be started. Tables show `name` and `mode`."""

    name: str
    mode: str
    version: str
    start: Callable[[], AbstractContextManager[str]]
    request: Callable[[bytes], Request]
    parse: ParseResponse


@dataclass(slots=True)
class RunningSystem:
    """A started system and its measurements.

    Attributes:
        error: why the system is excluded; None while it takes part.
        engine: engine that its responses name.
        loads: result of each round.
        cpu_microseconds: CPU time of a response by component of Torchlight, for each round.
    """

    system: SystemUnderTest
    images: Sequence[bytes]
    expected: Sequence[int]
    scratch: Path
    error: str | None = None
    engine: str | None = None
    loads: list[wrk.LoadResult] = field(default_factory=list)
    cpu_microseconds: list[dict[str, float]] = field(default_factory=list)
    _url: str = ""
    _cold: bool = True
    _references: list[ReferenceRequest] = field(default_factory=list)
    _roots: set[int] = field(default_factory=set)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def title(self) -> str:
        """Name and mode, for the log."""
        return f"{self.system.name} {MODE_NAMES[self.system.mode]}".strip()

    def start(self) -> None:
        """Start the system, record the reference requests, and pause it."""
        logger.info("starting %s", self.title)
        before = processes.descendants()
        try:
            self._url, self._cold = self._stack.enter_context(self.system.start()), True
            self._roots = processes.descendants() - before
            self._references = self._record(self.images, self.expected)
            processes.pause(self._roots)
        except Exception as error:  # a row of the table shows the error of a peer, and the others continue
            self._roots = processes.descendants() - before
            self._exclude(error)

    def measure(self, clients: int, seconds: float) -> None:
        """Resume the system, warm it up, measure one round, and pause it again."""
        if self.error is None:
            try:
                self._resume()
                warm_up_seconds, self._cold = FIRST_WARM_UP_SECONDS if self._cold else WARM_UP_SECONDS, False
                with suppress(WrongResponse):  # only responses of a warm system count
                    wrk.run(self._url, self._references, clients, warm_up_seconds, self.scratch)
                # wrk stops at its time limit, and its last requests may still wait in short queues. After one more
                # response the queues are empty.
                self._record(self.images[:1], self.expected[:1])
                before = processes.cpu_seconds(self._roots)
                load = wrk.run(self._url, self._references, clients, seconds, self.scratch)
                after = processes.cpu_seconds(self._roots)
                # If TorchServe is paused within a request, its worker's responseTimeout is over when it resumes. It
                # then ends the worker, and the next round measures a new one, which still has to load.
                time.sleep(DRAIN_SECONDS)
                processes.pause(self._roots)
                responses = load.rate * load.seconds
                self.loads.append(load)
                self.cpu_microseconds.append({name: (after[name] - before[name]) / responses * 1e6 for name in after})
                rate, median = three_digits(load.rate), three_digits(load.p50)
                logger.info("%s: %s responses/s, median %s ms", self.title, rate, median)
            except Exception as error:  # as above
                self._exclude(error)

    def stop(self) -> None:
        """Stop the system and all of its processes."""
        members = processes.tree(self._roots)
        processes.resume(members)
        self._roots = set()
        try:
            self._stack.close()
        except Exception as error:  # its figures remain valid, and the others continue
            self.error = self.error or _one_line(error)
        processes.kill(members)

    def _resume(self) -> None:
        processes.resume(self._roots)
        try:
            self._record(self.images, self.expected)
        except Exception:  # the system did not survive the pause
            self.stop()
            self.start()
            processes.resume(self._roots)
            self._record(self.images, self.expected)

    def _record(self, images: Sequence[bytes], expected: Sequence[int]) -> list[ReferenceRequest]:
        references = reference.record(self._url, images, self.system.request, self.system.parse, expected)
        post = references[0].request
        response = requests.post(self._url + post.path, data=post.body, headers=post.headers, timeout=60)
        self.engine = response.headers.get("X-Model-Engine")
        return references

    def _exclude(self, error: Exception) -> None:
        self.error = _one_line(error)
        logger.info("%s is excluded: %s", self.title, self.error)
        self.stop()


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@contextmanager
def running_systems(
    systems: Sequence[SystemUnderTest], images: Sequence[bytes], expected: Sequence[int], scratch: Path
) -> Iterator[list[RunningSystem]]:
    """Start the systems one after the other; stop all at the end."""
    processes.become_subreaper()
    running = [RunningSystem(system, images, expected, scratch / f"{system.name}-{system.mode}") for system in systems]
    try:
        for system in running:
            system.start()
        yield running
    finally:
        for system in running:
            system.stop()
