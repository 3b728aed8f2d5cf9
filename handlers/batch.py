"""Where a request keeps what is known of it on its way through a batch, and how a batch is gone through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from handlers import metadata
from handlers.errors import RequestError
from handlers.explain.evidence.context import PredictionContext
from handlers.explain.scheduling.deadline import DeadlineChoice
from handlers.metrics import Record
from handlers.modalities.image.images import View
from handlers.protocols import Result
from handlers.request import Incoming, Request


@dataclass(slots=True)
class Slot:
    """What is known so far of one request on its way."""

    incoming: Incoming
    record: Record
    request: Request | None = None
    pixels: list[torch.Tensor] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    known: list[PredictionContext] = field(default_factory=list)
    choice: DeadlineChoice | None = None
    results: list[Result] = field(default_factory=list)
    error: RequestError | None = None

    @property
    def asked(self) -> Request:
        """The request, in steps that only those take which were understood."""
        assert self.request is not None
        return self.request


def sends_images(incoming: Incoming) -> bool:
    """Whether there is something to classify; otherwise it asks what the model is."""
    return incoming.route not in metadata.ROUTES


def kind(incoming: Incoming) -> str:
    """Return the kind that metrics count: `predict`, `explain`, or `metadata` for readiness and metadata."""
    return incoming.kind if sends_images(incoming) else "metadata"


def healthy(slots: Sequence[Slot]) -> list[Slot]:
    """Those that go on."""
    return [slot for slot in slots if slot.error is None]


def pixels(slots: Sequence[Slot]) -> list[torch.Tensor]:
    """The images of all slots in order, as pixels: each uint8 (3, size, size)."""
    return [image for slot in slots for image in slot.pixels]


def chunks(slots: Sequence[Slot], images_at_once: int) -> Iterator[list[Slot]]:
    """Slots in order, as many together as have so many images; one with more than that by itself."""
    chunk: list[Slot] = []
    count = 0
    for slot in slots:
        if chunk and count + len(slot.pixels) > images_at_once:
            yield chunk
            chunk, count = [], 0
        chunk.append(slot)
        count += len(slot.pixels)
    if chunk:
        yield chunk


class timed:  # noqa: N801
    """Note the seconds that a stage takes for each request that goes through it together, and once as a pass."""

    __slots__ = ("_began", "_slots", "_stage")

    def __init__(self, slots: Sequence[Slot], stage: str) -> None:
        self._slots = slots
        self._stage = stage

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *raised: object) -> None:
        seconds = time.perf_counter() - self._began
        self._slots[0].record.passes.append((self._stage, seconds))
        for slot in self._slots:
            spent = slot.record.seconds
            spent[self._stage] = spent.get(self._stage, 0.0) + seconds
