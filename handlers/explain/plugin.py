"""The plug-in of the pipeline that explains predictions: which requests are explained together, how, and by when."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from handlers.batch import RequestState, Work, pixels, timed
from handlers.classifier import Classifier
from handlers.errors import RequestError
from handlers.explain import validation
from handlers.explain.explainer import AttributionConfig, Explainer
from handlers.explain.explanation import Explanation, ExplanationInput
from handlers.explain.scheduling.deadline import DeadlineChoice
from handlers.modalities.image import images
from handlers.options import ExplainOptions
from handlers.protocols import Result
from handlers.request import Request

# Images that are explained between two looks at the clock.
IMAGES_AT_ONCE = 16
# Milliseconds of a deadline that encoding and sending the response need. The proxy keeps as much.
RESERVE_MS = 8.0


class AttributionPlugin:
    """Explanations by attribution methods. Its network is the eager one, whichever engine predicts.

    Raises:
        EngineError: the card names a method or a layer that this network does not have.
    """

    max_images = IMAGES_AT_ONCE

    def __init__(self, classifier: Classifier) -> None:
        self.explainer = Explainer(classifier.card, classifier.eager_network, classifier.folder)
        self._spec = classifier.card.input

    def warm_up(self) -> None:
        """Measure the cost of a pass, and run the quick methods once."""
        self.explainer.warm()

    def check(self, request: Request) -> None:
        """Check that this model can give the explanation that a request asks for.

        Raises:
            BadOption: it cannot. The message lists what is possible.
        """
        self.explainer.check(_options(request))

    def plan(
        self, states: Sequence[RequestState], start: float, check_time: Callable[[], None]
    ) -> list[tuple[list[RequestState], Work]]:
        """Group the states by how they are explained. A state that cannot be explained in its deadline gets its error.

        The responses of a batch leave together, so each deadline has to hold for the work of all: its time is shared
        by number of images.
        """
        groups: defaultdict[AttributionConfig, list[RequestState]] = defaultdict(list)
        total_images = sum(len(state.images) for state in states)
        for state in states:
            options, left_ms = _options(state.request), float("inf")
            if options.deadline_ms is not None:
                passed_ms = 1000 * ((state.raw.queue_seconds or 0.0) + time.monotonic() - start)
                left_ms = (options.deadline_ms - RESERVE_MS - passed_ms) * len(state.images) / total_images
            views = [image.view for image in state.images if image.view is not None]
            shapes = [view.image.size for view in views] if state.request.encoder.renders else []
            try:
                config, state.plan = self.explainer.configure(options, shapes, len(state.images), left_ms)
            except RequestError as error:
                state.error = error
            else:
                groups[config].append(state)
        return [
            (group, partial(self._explain, config=config, check_time=check_time)) for config, group in groups.items()
        ]

    def _explain(
        self, states: Sequence[RequestState], config: AttributionConfig, check_time: Callable[[], None]
    ) -> list[list[Result]]:
        """Return the results of each state with their explanations."""
        with timed(states, "explanation"):
            batch = images.batch(pixels(states), self._spec, self.explainer.device)
            items = [item for state in states for item in self._items(state)]
            explained: list[Explanation] = []
            for rows in torch.split(batch, IMAGES_AT_ONCE):
                check_time()
                explained += self.explainer.explain(rows, items[len(explained) : len(explained) + len(rows)], config)
        explanations = iter(explained)
        return [[replace(result, explanation=next(explanations)) for result in state.results] for state in states]

    def _items(self, state: RequestState) -> list[ExplanationInput]:
        options, choice = _options(state.request), state.plan
        assert choice is None or isinstance(choice, DeadlineChoice)
        return [
            ExplanationInput(
                image.view,
                validation.target_of(options, context.predicted, self.explainer.card),
                context,
                options,
                choice,
            )
            for image, context in zip(state.images, state.contexts, strict=True)
            if image.view is not None
        ]

    def render(self, state: RequestState, check_time: Callable[[], None], check_size: Callable[[int], None]) -> None:
        """Render a request's explanations, as long as there is time for it and room in the response."""
        size = 0
        with timed([state], "render"):
            for result in state.results:
                if isinstance(explained := result.explanation, Explanation):
                    check_time()
                    start = time.perf_counter()
                    size += state.request.encoder.render(explained)
                    seconds = time.perf_counter() - start
                    self.explainer.observe_rendering(explained.view.image.size, explained.style.side, seconds)
                    check_size(size)


def _options(request: Request) -> ExplainOptions:
    assert isinstance(request.options, ExplainOptions), "the pipeline explains requests of the kind explain alone"
    return request.options
