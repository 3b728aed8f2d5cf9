"""The road of a batch of requests: parse, decode, infer, decide, explain, answer.

Each step works on the whole batch. A request that cannot go on keeps its error in its slot, and the others go on.
Nothing here knows which server it runs in.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
import torch
from PIL import Image

from handlers import decision, images
from handlers.decision import Ranking
from handlers.engine import Engine
from handlers.errors import InferenceFailed, RequestError
from handlers.explain import answer as explanation
from handlers.explain.answer import Target
from handlers.request import Incoming, Request, parse
from models.card import Card

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: HTTPStatus
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True)
class Slot:
    """What is known so far of one request on its way. Rows are its images in the batch tensor."""

    request: Request | None = None
    pictures: list[Image.Image] = field(default_factory=list)
    rows: range = range(0)
    targets: list[Target] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    error: RequestError | None = None


class Classifier:
    """A model that answers: its card and its engine."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self.card = card
        self.engine = engine

    @classmethod
    def load(cls, folder: Path, device: torch.device | None = None) -> Classifier:
        """Load a release folder or an unpacked .mar.

        Raises:
            CardError, EngineError: a part of it is missing, damaged, or does not fit the others.
        """
        card = Card.load(folder)
        return cls(card, Engine.load(folder, card, device or torch.device("cpu")))

    def logits(self, contents: Sequence[bytes]) -> torch.Tensor:
        """Encoded images -> logits (N, classes): the plain road of evaluation and golden answers.

        Raises:
            RequestError: one of the images cannot be decoded.
        """
        pictures = [images.decode(content) for content in contents]
        return self.engine.logits(images.batch(pictures, self.card.input, self.engine.device))

    def answer(self, batch: Sequence[Incoming]) -> list[Answer]:
        """Answer every request of a batch, in order; predictions and explanations may be mixed."""
        slots = [self._understand(incoming) for incoming in batch]
        going = [slot for slot in slots if slot.error is None]
        pictures = [picture for slot in going for picture in slot.pictures]
        if pictures:
            row = 0
            for slot in going:
                slot.rows = range(row, row + len(slot.pictures))
                row += len(slot.pictures)
            tensor = images.batch(pictures, self.card.input, self.engine.device)
            _together_or_alone(going, partial(self._predict, tensor=tensor))
            self._explain([slot for slot in going if slot.error is None], tensor)
        return [self._finish(slot) for slot in slots]

    def _understand(self, incoming: Incoming) -> Slot:
        slot = Slot()
        try:
            slot.request = request = parse(incoming)
            if request.kind == "explain":
                explanation.check_method(request.options.method)
                explanation.choose_target(request.options.target, 0, self.card)
            for number, (name, content) in enumerate(request.images, start=1):
                try:
                    slot.pictures.append(images.decode(content))
                except RequestError as error:
                    if len(request.images) == 1:
                        raise
                    where = f"image {number} of {len(request.images)} ({name[:40]!r})"
                    raise type(error)(f"{where}: {error}") from None
        except RequestError as error:
            slot.error = error
        return slot

    def _predict(self, slots: Sequence[Slot], tensor: torch.Tensor) -> None:
        rows = [row for slot in slots for row in slot.rows]
        ranking = decision.rank(self.engine.logits(tensor[rows]))
        first = 0
        for slot in slots:
            for place in range(first, first + len(slot.rows)):
                self._decide(slot, ranking, place)
            first += len(slot.rows)

    def _decide(self, slot: Slot, ranking: Ranking, place: int) -> None:
        assert slot.request is not None
        options = slot.request.options
        slot.results.append(
            {"predictions": decision.predictions(ranking, place, self.card.classes, options.top_k)},
        )
        if slot.request.kind == "explain":
            predicted = ranking.indices[place][0]
            slot.targets.append(explanation.choose_target(options.target, predicted, self.card))

    def _explain(self, slots: Sequence[Slot], tensor: torch.Tensor) -> None:
        groups: defaultdict[str, list[Slot]] = defaultdict(list)
        for slot in slots:
            if slot.request is not None and slot.request.kind == "explain":
                groups[slot.request.options.method].append(slot)
        for method, group in groups.items():
            _together_or_alone(group, partial(self._attribute, tensor=tensor, method=method))

    def _attribute(self, slots: Sequence[Slot], tensor: torch.Tensor, method: str) -> None:
        rows = [row for slot in slots for row in slot.rows]
        pictures = [picture for slot in slots for picture in slot.pictures]
        targets = [target for slot in slots for target in slot.targets]
        explained = iter(explanation.explain(self.engine, tensor[rows], pictures, targets, method))
        for slot in slots:
            slot.results = [
                {
                    "method": method,
                    "target": {
                        "label": self.card.classes[target.index],
                        "index": target.index,
                        "why": target.why,
                    },
                    **result,
                    **next(explained),
                }
                for result, target in zip(slot.results, slot.targets, strict=True)
            ]

    def _finish(self, slot: Slot) -> Answer:
        body: dict[str, Any]
        if slot.error is not None:
            status = HTTPStatus(slot.error.status)
            body = {"code": status.value, "type": slot.error.type, "message": str(slot.error)}
        else:
            status = HTTPStatus.OK
            body = {"model": self.card.name, "version": self.card.version}
            body |= slot.results[0] if len(slot.results) == 1 else {"results": slot.results}
        headers = {"content-type": "application/json", "X-Model-Version": self.card.version}
        return Answer(status, orjson.dumps(body), headers)


def _together_or_alone(slots: Sequence[Slot], work: Callable[[Sequence[Slot]], None]) -> None:
    """Do `work` for all slots at once; where that raises, one by one, so that only the guilty slot fails."""
    if not slots:
        return
    before = [(list(slot.results), list(slot.targets)) for slot in slots]
    try:
        work(slots)
    except Exception as error:  # whatever the network, captum or the device raises, it must not reach the neighbours
        for slot, (results, targets) in zip(slots, before, strict=True):
            slot.results, slot.targets = results, targets
        if len(slots) > 1:
            for slot in slots:
                _together_or_alone([slot], work)
            return
        logger.exception("inference failed")
        slots[0].error = InferenceFailed(f"the model failed on this request: {type(error).__name__}")
