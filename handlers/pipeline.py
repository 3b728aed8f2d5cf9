"""The road of a batch of requests: parse, decode, infer, decide, explain, answer.

Each step works on the whole batch. A request that cannot go on keeps its error in its slot, and the others go on.
Nothing here knows which server it runs in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from http import HTTPStatus
from math import isfinite
from pathlib import Path

import orjson
import torch

from handlers import decision, metadata, uncertainty
from handlers.batch import Slot, chunks, healthy, kind, pixels, sends_images, timed
from handlers.engines import EAGER, Engine, EngineError, Outputs, named
from handlers.engines.eager import Eager
from handlers.errors import InferenceFailed, Overloaded, RequestError, ResponseTooLarge
from handlers.explain import plugin
from handlers.explain.explainer import AttributionConfig, Explainer
from handlers.isolation import as_request_error, in_halves
from handlers.metrics import Record
from handlers.modalities.image import images
from handlers.modalities.image.decoding import decode_images
from handlers.protocols import JSON, Picture, Result
from handlers.request import Incoming, parse
from handlers.uncertainty import UncertaintyEstimator
from models.card import Card, Limits, Policy

# Images of fewer bytes are decoded sooner than they are handed to another thread.
THREADED_BYTES = 16_000
# Images that go through the network between two looks at the clock.
PREDICT_IMAGES = 64
# TorchServe takes in a batch's answers in time that grows faster than their size.
BATCH_BYTES = 24_000_000
# Half of TorchServe's responseTimeout, as our archives set it.
BUDGET_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and what is worth counting about it."""

    status: HTTPStatus
    body: bytes
    headers: dict[str, str]
    record: Record


class Classifier:
    """A model that answers: its card, its engine, its estimator, the limits of a request, and the seconds of a batch.

    What cannot be begun within `budget` is refused, so that the server need not give up on the whole batch. The judge
    can be left out if the card has no `uncertainty`, or one that needs no tensors, and `folder` if no training images
    are to be shown beside explanations and the engine is the eager one.
    """

    def __init__(
        self,
        card: Card,
        engine: Engine,
        limits: Limits | None = None,
        budget: float = BUDGET_SECONDS,
        *,
        estimator: UncertaintyEstimator | None = None,
        folder: Path | None = None,
    ) -> None:
        self.card = card
        self.engine = engine
        self.estimator = estimator or (UncertaintyEstimator(card.uncertainty) if card.uncertainty else None)
        self.limits = limits or card.limits
        self.budget = budget
        self.folder = folder
        self._deadline = float("inf")
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="decode")

    @classmethod
    def load(
        cls,
        folder: Path,
        device: torch.device | None = None,
        *,
        engine: str = EAGER,
        limits: Limits | None = None,
        policy: Policy | None = None,
        budget: float = BUDGET_SECONDS,
    ) -> Classifier:
        """Load a release folder or an unpacked .mar; `limits` and `policy` replace those of the card.

        Args:
            engine: `eager`, or a compiled program of the card; handlers.engines.selection finds the fastest.

        Raises:
            CardError, EngineError, UncertaintyError: a part of it is missing, damaged, or does not fit the others.
        """
        card = Card.load(folder)
        loaded = named.load(folder, card, engine, device or torch.device("cpu"))
        estimator = UncertaintyEstimator.load(folder, card, loaded)
        estimator = estimator.under(policy) if estimator and policy else estimator
        return cls(card, loaded, limits, budget, estimator=estimator, folder=folder)

    @cached_property
    def eager_network(self) -> Eager:
        """The eager float32 network, which explanations go through; loaded when the first one is asked for."""
        if isinstance(self.engine, Eager):
            return self.engine
        if self.folder is None:
            raise EngineError(
                f"engine {self.engine.name!r} was given without a folder to load its eager eager network from"
            )
        return Eager.load(self.folder, self.card, self.engine.device)

    @cached_property
    def explainer(self) -> Explainer:
        """What explanations need, made when the first one is asked for."""
        return Explainer(self.card, self.eager_network, self.folder)

    def outputs(self, pictures: Sequence[Picture]) -> Outputs:
        """Encoded images or arrays -> logits and embeddings: the plain road of evaluation and golden answers.

        Raises:
            RequestError: one of the images cannot be decoded.
        """
        spec = self.card.input
        pixels = [images.pixels(images.picture(picture, spec), spec) for picture in pictures]
        return self.engine.outputs(images.stack(pixels))

    def logits(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """The logits (N, classes) of `outputs`, with what it raises."""
        return self.outputs(pictures).logits

    def warm(self, most: int) -> None:
        """Answer blank images, 1, 2, 4 and so on up to `most` at once, so that no request is the first of its size."""
        size, rows = self.card.input.size, 1
        while rows <= min(most, self.engine.max_rows):
            self.engine.outputs(torch.zeros(rows, 3, size, size, dtype=torch.uint8))
            rows *= 2

    @property
    def temperature(self) -> float:
        """What logits are divided by; 1 where the card has no `uncertainty`."""
        return self.estimator.uncertainty.temperature if self.estimator else 1.0

    def probabilities(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """The probabilities that are answered, (N, classes) in the order of the card; with what `outputs` raises."""
        return uncertainty.probabilities(self.logits(pictures), self.temperature)

    def answer(self, batch: Sequence[Incoming]) -> list[Answer]:
        """Answer every request of a batch, in order; predictions, explanations and questions may be mixed."""
        began = time.monotonic()
        self._deadline = began + self.budget
        slots = [Slot(incoming, Record(kind(incoming), incoming.waited)) for incoming in batch]
        going = [slot for slot in slots if sends_images(slot.incoming)]
        self._each(going, self._understand, threaded=False)
        sources = [source for slot in healthy(going) for _, source in slot.asked.images]
        size = max((len(source) for source in sources if isinstance(source, bytes)), default=0)
        self._each(healthy(going), self._decode, threaded=size > THREADED_BYTES and torch.get_num_threads() > 1)
        for _ in self._settle(healthy(going), self._predict, PREDICT_IMAGES):
            pass
        questions = [slot for slot in healthy(going) if slot.asked.kind == "explain"]
        for config, group in (plugin.ways(self.explainer, questions, began) if questions else {}).items():
            for explained in self._settle(group, partial(self._explain, config=config), plugin.IMAGES_AT_ONCE):
                drawn = [slot for slot in explained if slot.asked.reply.pictures]
                self._each(drawn, self._draw, threaded=torch.get_num_threads() > 1)
        answers, room = [], BATCH_BYTES
        for slot in slots:
            answers.append(self._finish(slot, room))
            room -= len(answers[-1].body)
        return answers

    # ---- steps, each for one request or for many

    def _each(self, slots: Sequence[Slot], step: Callable[[Slot], None], *, threaded: bool) -> None:
        def guarded(slot: Slot) -> None:
            start = time.thread_time()
            try:
                step(slot)
            except Exception as error:  # of this request alone
                slot.error = as_request_error(error)
            slot.record.cpu_seconds += time.thread_time() - start

        for _ in (self._threads.map if threaded and len(slots) > 1 else map)(guarded, slots):
            pass

    def _settle(
        self, slots: Sequence[Slot], work: Callable[[Sequence[Slot]], Sequence[list[Result]]], images_at_once: int
    ) -> Iterator[list[Slot]]:
        """Do `work` for all slots, some images at once, and give each its results or its error.

        Yields those that have results, after each time.
        """
        for some in chunks(slots, images_at_once):
            for slot, outcome in zip(some, in_halves(some, work), strict=True):
                if isinstance(outcome, RequestError):
                    slot.error = outcome
                else:
                    slot.results = outcome
            yield healthy(some)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            together = "what is answered together with this request"
            raise Overloaded(f"{together} takes more than {self.budget:g} s: try again later, or with fewer images")

    def _understand(self, slot: Slot) -> None:
        self._check_time()
        slot.request = parse(slot.incoming, self.limits, has_uncertainty=self.estimator is not None)
        if slot.asked.kind == "explain":
            self.explainer.check(slot.asked.options)

    def _decode(self, slot: Slot) -> None:
        with timed([slot], "decode"):
            decode_images(slot, self.card.input, self.limits, self._check_time)

    def _predict(self, slots: Sequence[Slot]) -> list[list[Result]]:
        self._check_time()
        with timed(slots, "inference"):
            outputs = self.engine.outputs(images.stack(pixels(slots)))
            most = max(slot.asked.options.top_k for slot in slots)
            ranking = decision.rank(outputs.logits, self.temperature, most)
            judged = (
                decision.uncertainties(ranking, outputs, self.estimator, self.card.classes) if self.estimator else None
            )
        sums = outputs.logits.sum(dim=1, dtype=torch.float64).tolist()  # finite if all of a row are
        seconds = slots[0].record.passes[-1][1] / len(sums)
        row, found, classes = 0, [], self.card.classes
        for slot in slots:
            top_k, rows = slot.asked.options.top_k, range(row, row + len(slot.pixels))
            if not all(isfinite(sums[r]) for r in rows):
                slot.error = InferenceFailed("the model's answer for this request is no number")
            if slot.asked.kind == "explain":
                slot.known = [
                    plugin.known(outputs, ranking, r, judged[r] if judged else None, self.temperature) for r in rows
                ]
            raw: list[torch.Tensor | None] = [known.raw for known in slot.known] or [None] * len(rows)
            found.append(
                [
                    Result(decision.predictions(ranking, r, classes, top_k, one), judged[r] if judged else None)
                    for r, one in zip(rows, raw, strict=True)
                ]
            )
            row += len(slot.pixels)
            # Every request has one image at least, whatever that takes; more are more work than others bring.
            slot.record.cpu_seconds += seconds * (len(slot.pixels) - 1)
        return found

    def _explain(self, slots: Sequence[Slot], config: AttributionConfig) -> list[list[Result]]:
        with timed(slots, "explanation"):
            batch = images.batch(pixels(slots), self.card.input, self.eager_network.device)
            return plugin.explain(self.explainer, slots, batch, config, self._check_time)

    def _draw(self, slot: Slot) -> None:
        """Draw a request's explanations, as long as there is time for it and room in the answer."""
        size = 0
        with timed([slot], "render"):
            for result in slot.results:
                if result.explanation is not None:
                    self._check_time()
                    began = time.perf_counter()
                    size += slot.asked.reply.draw(result.explanation)
                    explained, seconds = result.explanation, time.perf_counter() - began
                    self.explainer.observe_rendering(explained.view.image.size, explained.style.side, seconds)
                    self._check_size(size)

    # ---- the answer

    def _check_size(self, size: int) -> None:
        if size > (most := self.limits.max_answer_bytes):
            raise ResponseTooLarge(f"the answer has {size:,} bytes or more, and {most:,} may be sent: ask less at once")

    def _finish(self, slot: Slot, room: int) -> Answer:
        """The answer of one request, of at most `room` bytes, or its error; encoding may fail too."""
        route, request_id = slot.incoming.route, slot.incoming.headers.get("x-request-id", slot.incoming.request_id)
        headers = {
            "content-type": JSON,
            "X-Model-Version": self.card.version,
            "X-Model-Engine": self.engine.name,
            "X-Request-Id": request_id,
        }
        body = b""
        try:
            if not sends_images(slot.incoming):
                body = orjson.dumps(metadata.answer(route, self.card))
            elif slot.error is None:
                with timed([slot], "encode"):
                    content = slot.asked.reply.answer(self.card, request_id, slot.results)
                body = content.body
                self._check_size(len(body))
                if len(body) > room:
                    raise Overloaded("the answers to what came together with this request are too large: try again")
                headers |= {"content-type": content.content_type, **dict(content.headers)}
                if slot.asked.options.timing:
                    headers["Server-Timing"] = slot.record.server_timing()
        except Exception as error:
            slot.error = as_request_error(error)
        if slot.error is None:
            slot.record.succeeded(slot.results)
            return Answer(HTTPStatus.OK, body, headers, slot.record)
        slot.record.failed(slot.error.type)
        body = orjson.dumps(slot.error.body(kserve=route in ("v1", "v2")))
        return Answer(HTTPStatus(slot.error.status), body, headers, slot.record)
