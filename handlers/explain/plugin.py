"""The part of a batch's road that explanations go alone: who is explained with whom, in which way, by when."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from handlers import uncertainty
from handlers.batch import Slot
from handlers.decision import Ranking, Uncertainty
from handlers.engines import Outputs
from handlers.errors import RequestError
from handlers.explain import validation
from handlers.explain.evidence.context import PredictionContext
from handlers.explain.explainer import AttributionConfig, Explainer
from handlers.explain.explanation import Explanation, ExplanationInput
from handlers.protocols import Result

# Images that are explained between two looks at the clock.
IMAGES_AT_ONCE = 16
# Of a deadline, what the answer needs to be encoded and to get back. The proxy keeps as much.
RESERVE_MS = 8.0


def known(
    outputs: Outputs, ranking: Ranking, row: int, estimate: Uncertainty | None, temperature: float
) -> PredictionContext:
    """What the prediction of one image came to, for its explanation."""
    logits = outputs.logits[row : row + 1]
    return PredictionContext(
        predicted=ranking.indices[row][0],
        probabilities=uncertainty.probabilities(logits, temperature)[0],
        raw=uncertainty.probabilities(logits)[0],
        embedding=outputs.embeddings[row],
        uncertainty=estimate,
    )


def ways(explainer: Explainer, slots: Sequence[Slot], began: float) -> Mapping[AttributionConfig, list[Slot]]:
    """The slots by how they are explained; one that cannot be, in its deadline, gets its error.

    The answers of a batch leave together, so each deadline has to hold for the work of all: it is shared out by images.

    Args:
        began: when the batch came, by time.monotonic().
    """
    groups: defaultdict[AttributionConfig, list[Slot]] = defaultdict(list)
    images = sum(len(slot.pixels) for slot in slots)
    for slot in slots:
        options, left_ms = slot.asked.options, float("inf")
        if options.deadline_ms is not None:
            passed = 1000 * ((slot.incoming.waited or 0.0) + time.monotonic() - began)
            left_ms = (options.deadline_ms - RESERVE_MS - passed) * len(slot.pixels) / images
        drawn = [view.image.size for view in slot.views] if slot.asked.reply.pictures else []
        try:
            config, slot.choice = explainer.configure(options, drawn, len(slot.pixels), left_ms)
        except RequestError as error:
            slot.error = error
        else:
            groups[config].append(slot)
    return groups


def explain(
    explainer: Explainer,
    slots: Sequence[Slot],
    batch: torch.Tensor,
    config: AttributionConfig,
    check_time: Callable[[], None],
) -> list[list[Result]]:
    """The results of each slot with its explanations.

    Args:
        batch: the normalized images of all slots in order.
        check_time: raises where there is no time left.
    """
    items = [
        ExplanationInput(
            view,
            validation.target_of(slot.asked.options, one.predicted, explainer.card),
            one,
            slot.asked.options,
            slot.choice,
        )
        for slot in slots
        for view, one in zip(slot.views, slot.known, strict=True)
    ]
    explained: list[Explanation] = []
    for rows in torch.split(batch, IMAGES_AT_ONCE):
        check_time()
        explained += explainer.explain(rows, items[len(explained) : len(explained) + len(rows)], config)
    left = iter(explained)
    return [[replace(result, explanation=next(left)) for result in slot.results] for slot in slots]
