"""The state of each request of a batch, and the plug-in that explains predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from handlers.decision import PredictionContext
from handlers.errors import RequestError
from handlers.metrics import RequestMetrics
from handlers.modalities.image.decoding import DecodedImage
from handlers.protocols import Result
from handlers.request import RawRequest, Request


@dataclass(slots=True)
class RequestState:
    """The state of one request in the pipeline.

    Attributes:
        parsed: None until parsing succeeds.
        contexts: of each image, if the request asks for an explanation.
        plan: for the explanation plug-in alone: its plan for this request.
        error: set when a step fails; the later steps then leave the request out.
    """

    raw: RawRequest
    metrics: RequestMetrics
    parsed: Request | None = None
    images: list[DecodedImage] = field(default_factory=list)
    contexts: list[PredictionContext] = field(default_factory=list)
    plan: object = None
    results: list[Result] = field(default_factory=list)
    error: RequestError | None = None

    @property
    def request(self) -> Request:
        """The parsed request. Use it only after parsing succeeded."""
        assert self.parsed is not None
        return self.parsed


Work = Callable[[Sequence[RequestState]], Sequence[list[Result]]]


class ExplanationPlugin(Protocol):
    """The plug-in of the pipeline that explains predictions; handlers/explain has one.

    Attributes:
        max_images: images to explain between two looks at the clock.
    """

    max_images: int

    def warm_up(self) -> None:
        """Prepare everything that would delay the first explanation."""
        ...

    def check(self, request: Request) -> None:
        """Check a request before its images are decoded.

        Raises:
            RequestError: this model cannot give the explanation that the request asks for.
        """
        ...

    def plan(
        self, states: Sequence[RequestState], start: float, check_time: Callable[[], None]
    ) -> list[tuple[list[RequestState], Work]]:
        """Group the states by how they are explained. A state that cannot be explained in time gets its error.

        Args:
            start: when the batch arrived, by time.monotonic().
            check_time: raises if the batch's budget is spent.

        Returns:
            The groups, each with the function that explains some of its states.
        """
        ...

    def render(self, state: RequestState, check_time: Callable[[], None], check_size: Callable[[int], None]) -> None:
        """Render the PNGs of a request's explanations.

        Args:
            check_size: raises if a response of so many bytes is too large.
        """
        ...


def healthy(states: Sequence[RequestState]) -> list[RequestState]:
    """Return the states without an error."""
    return [state for state in states if state.error is None]


def pixels(states: Sequence[RequestState]) -> list[torch.Tensor]:
    """Return the images of all states in order, as pixels: each uint8 (3, size, size)."""
    return [image.pixels for state in states for image in state.images]


def chunks(states: Sequence[RequestState], max_images: int) -> Iterator[list[RequestState]]:
    """Split states, in order, into chunks of at most `max_images` images; a state with more is a chunk of its own."""
    chunk: list[RequestState] = []
    count = 0
    for state in states:
        if chunk and count + len(state.images) > max_images:
            yield chunk
            chunk, count = [], 0
        chunk.append(state)
        count += len(state.images)
    if chunk:
        yield chunk


class timed:  # noqa: N801
    """A context that records the seconds of a stage, for each request in it and once as a pass."""

    __slots__ = ("_stage", "_start", "_states")

    def __init__(self, states: Sequence[RequestState], stage: str) -> None:
        self._states = states
        self._stage = stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *raised: object) -> None:
        seconds = time.perf_counter() - self._start
        self._states[0].metrics.passes.append((self._stage, seconds))
        for state in self._states:
            by_stage = state.metrics.seconds
            by_stage[self._stage] = by_stage.get(self._stage, 0.0) + seconds
