"""The pipeline of a batch of requests: parse, decode, predict, decide, explain, encode.

Each step works on the whole batch. A request that fails keeps its error in its state, and the others continue.
Nothing here depends on the server that it runs in, nor on how explanations are made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import isfinite

import torch

from handlers import decision, response
from handlers.batch import ExplanationPlugin, RequestState, Work, chunks, healthy, pixels, timed
from handlers.classifier import Classifier
from handlers.decision import Uncertainty
from handlers.errors import InferenceFailed, Overloaded, RequestError
from handlers.isolation import as_request_error, bisect_failures
from handlers.metrics import RequestMetrics
from handlers.modalities.image import images
from handlers.modalities.image.decoding import decode_images
from handlers.protocols import Response, Result
from handlers.request import RawRequest, parse
from handlers.uncertainty.observation import observe

# Images of fewer bytes are decoded sooner than they are handed to another thread.
THREADED_BYTES = 16_000
# Images that go through the network between two looks at the clock.
PREDICT_IMAGES = 64
# The time that TorchServe needs for a batch's responses grows faster than their size.
BATCH_BYTES = 24_000_000
# Half of TorchServe's responseTimeout, as our archives set it.
BUDGET_SECONDS = 30.0


class Pipeline:
    """Answers batches of requests with one classifier.

    Args:
        plug_in: makes the plug-in for explanations. It is called when the first explanation is asked for.
        budget_seconds: for a batch. Work that cannot start within it is refused, so that the server need not give up
            on the whole batch.
    """

    def __init__(
        self,
        classifier: Classifier,
        plug_in: Callable[[Classifier], ExplanationPlugin],
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self.classifier = classifier
        self.budget_seconds = budget_seconds
        self._plug_in = plug_in
        self._deadline = float("inf")
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="decode")

    @cached_property
    def explanations(self) -> ExplanationPlugin:
        """The plug-in for explanations, made on first use."""
        return self._plug_in(self.classifier)

    def answer(self, batch: Sequence[RawRequest]) -> list[Response]:
        """Answer every request of a batch, in order. Predictions, explanations and metadata may be mixed."""
        start = time.monotonic()
        self._deadline = start + self.budget_seconds
        states = [RequestState(raw, RequestMetrics(raw.counted_kind, raw.queue_seconds)) for raw in batch]
        with_images = [state for state in states if not state.raw.is_metadata]
        self._map(with_images, self._parse, threaded=False)
        parsed = healthy(with_images)
        sources = [source for state in parsed for _, source in state.request.images]
        max_bytes = max((len(source) for source in sources if isinstance(source, bytes)), default=0)
        self._map(parsed, self._decode, threaded=max_bytes > THREADED_BYTES and torch.get_num_threads() > 1)
        for _ in self._run_isolated(healthy(parsed), self._predict, PREDICT_IMAGES):
            pass
        self._explain([state for state in healthy(parsed) if state.request.kind == "explain"], start)
        responses, remaining_bytes = [], BATCH_BYTES
        for state in states:
            responses.append(response.encode(state, self.classifier, remaining_bytes))
            remaining_bytes -= len(responses[-1].body)
        return responses

    # ---- how a step runs for the requests of a batch

    def _map(self, states: Sequence[RequestState], step: Callable[[RequestState], None], *, threaded: bool) -> None:
        """Run a step for each state separately."""

        def isolated(state: RequestState) -> None:
            start = time.thread_time()
            try:
                step(state)
            except Exception as error:  # only of this request
                state.error = as_request_error(error)
            state.metrics.cpu_seconds += time.thread_time() - start

        for _ in (self._threads.map if threaded and len(states) > 1 else map)(isolated, states):
            pass

    def _run_isolated(
        self, states: Sequence[RequestState], work: Work, max_images: int
    ) -> Iterator[list[RequestState]]:
        """Run `work` for all states, `max_images` at a time, and give each its results or its error.

        Yields the states that have results, after each run.
        """
        for chunk in chunks(states, max_images):
            for state, outcome in zip(chunk, bisect_failures(chunk, work), strict=True):
                if isinstance(outcome, RequestError):
                    state.error = outcome
                else:
                    state.results = outcome
            yield healthy(chunk)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise Overloaded(
                f"the batch exceeded its {self.budget_seconds:g} s budget: retry later, or send fewer images"
            )

    def _check_size(self, size: int) -> None:
        response.check_size(size, self.classifier.limits.max_answer_bytes)

    # ---- the steps

    def _parse(self, state: RequestState) -> None:
        self._check_time()
        classifier = self.classifier
        state.parsed = parse(state.raw, classifier.limits, has_uncertainty=classifier.estimator is not None)
        if state.request.kind == "explain":
            self.explanations.check(state.request)

    def _decode(self, state: RequestState) -> None:
        classifier, request = self.classifier, state.request
        with timed([state], "decode"):
            state.images = decode_images(
                request.images,
                classifier.card.input,
                classifier.limits,
                state.raw.headers,
                self._check_time,
                with_views=request.kind == "explain",
            )

    def _predict(self, states: Sequence[RequestState]) -> list[list[Result]]:
        """Predict and decide for all images of the states in one pass."""
        self._check_time()
        classifier, estimator = self.classifier, self.classifier.estimator
        with timed(states, "inference"):
            stacked = images.stack(pixels(states))
            outputs = observe(classifier.engine, stacked) if estimator else classifier.engine.outputs(stacked)
            max_rank = max(state.request.options.top_k for state in states)
            ranking = decision.rank(outputs.logits, classifier.temperature, max_rank)
            uncertainties: Sequence[Uncertainty | None] = (
                decision.uncertainties(ranking, outputs, estimator, classifier.card.classes)
                if estimator
                else [None] * len(outputs.logits)
            )
        sums = outputs.logits.sum(dim=1, dtype=torch.float64).tolist()  # a sum is finite if all values of its row are
        seconds = states[0].metrics.passes[-1][1] / len(sums)
        results, start = [], 0
        for state in states:
            rows = range(start, start + len(state.images))
            start = rows.stop
            if not all(isfinite(sums[row]) for row in rows):
                state.error = InferenceFailed("the model returned NaN or infinity for this image")
            if state.request.kind == "explain":
                state.contexts = [
                    decision.context(outputs, ranking, row, uncertainties[row], classifier.temperature) for row in rows
                ]
            raw: list[torch.Tensor | None] = [context.raw for context in state.contexts] or [None] * len(rows)
            top_k = state.request.options.top_k
            results.append(
                [
                    Result(
                        decision.predictions(ranking, row, classifier.card.classes, top_k, raw_row), uncertainties[row]
                    )
                    for row, raw_row in zip(rows, raw, strict=True)
                ]
            )
            # Every request has at least one image. Only further images are extra work.
            state.metrics.cpu_seconds += seconds * (len(rows) - 1)
        return results

    def _explain(self, states: Sequence[RequestState], start: float) -> None:
        if not states:
            return
        for group, work in self.explanations.plan(states, start, self._check_time):
            for explained in self._run_isolated(group, work, self.explanations.max_images):
                rendered = [state for state in explained if state.request.encoder.renders]
                self._map(rendered, self._render, threaded=torch.get_num_threads() > 1)

    def _render(self, state: RequestState) -> None:
        self.explanations.render(state, self._check_time, self._check_size)
