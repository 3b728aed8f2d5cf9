"""TorchServe's way in, and the only module here that knows TorchServe.

TorchServe imports this file by its base name from the root of the unpacked .mar, and takes the one class in it:
`initialize(context)` once a worker, then `handle(data, context)` for each batch (ts/model_loader.py, ts/service.py).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import torch

from handlers import torchserve_protocol
from handlers.engines import selection
from handlers.metrics import Tally
from handlers.modalities.image.cost import LIGHT_SECONDS, HeavyRequest
from handlers.multipart import Part
from handlers.pipeline import BUDGET_SECONDS, Answer
from handlers.request import Incoming
from models.card import Card, Limits, Policy
from models.release import verify_digests

logger = logging.getLogger(__name__)

# When the proxy took the request, in microseconds since 1970.
START_HEADER = "x-torchlight-start"
# Milliseconds of work that a prediction took, where it took LIGHT_SECONDS or more.
COST_HEADER = "X-Torchlight-Cost"
FLUSH_SECONDS = 1.0
# Name endings of registrations whose role is not to predict (serving/torchserve/worker_roles.py). Workers that explain
# run at this niceness (nice(2)), so they use idle time only.
EXPLAINS = "-explain"
NICENESS = 19
# One takes predictions that come alone, and says so when it can.
UNBATCHED = "-unbatched"
READY_FOR_UNBATCHED = "this worker answers single predictions"
# Signs with a meaning in TorchServe's line of text, percent-encoded; serving/exporter/torchserve.py decodes them.
_ENCODED = str.maketrans({sign: f"%{ord(sign):02X}" for sign in ("%", *"|,:#", *map(chr, (*range(32), 127)))})


class ImageClassifier:
    """Serves one version of one model in one worker process."""

    def initialize(self, context: Any) -> None:
        """Load the model and prove it, or raise: TorchServe then never calls this worker READY.

        Raises:
            CardError, ReleaseError, EngineError, UncertaintyError, GoldenError, NeighborsError: a file is damaged, or
                computes something else on this machine than it did where it was trained.
        """
        folder = Path(context.system_properties["model_dir"])
        gpu = context.system_properties.get("gpu_id")
        on_gpu = gpu is not None and torch.cuda.is_available()
        device = torch.device(f"cuda:{gpu}" if on_gpu else "cpu")
        card = Card.load(folder)
        config = context.model_yaml_config
        own = config.get("handler") or {}
        if threads := own.get("threads"):
            torch.set_num_threads(threads)
        # Beyond responseTimeout TorchServe kills the worker, and the whole batch gets a 500.
        budget = float(config.get("responseTimeout", 2 * BUDGET_SECONDS)) / 2
        limits, policy, wanted = _limits(card, own), _policy(card, own), own.get("engine", selection.AUTO)
        verify_digests(folder, card)  # before anything of it is loaded: a compiled program is code
        self._choice = selection.load(folder, device, wanted, limits=limits, policy=policy, budget=budget)
        self._classifier = self._choice.classifier
        self._classifier.warm(int(context.system_properties.get("batch_size") or 1))
        _shorten_the_wire(context)
        self._tally, self._counted = Tally(), threading.Event()
        self._counted.set()  # rates need each counter's 0 before the first request
        threading.Thread(target=self._hand_on, args=(context.metrics,), name="metrics", daemon=True).start()
        if context.model_name.endswith(EXPLAINS):
            self._classifier.explainer.warm()
            _give_way()
            logger.info("this worker explains, at niceness %d", os.getpriority(os.PRIO_PROCESS, 0))
        elif context.model_name.endswith(UNBATCHED) and context.system_properties.get("batch_size") == 1:
            logger.info(READY_FOR_UNBATCHED)
        gc.collect()
        gc.freeze()  # what was loaded stays as long as the worker: it need not be looked through again and again

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: one body for each request, its status and headers set in the context."""
        now = time.time()
        headers = [_lower(context.get_all_request_header(place)) for place in range(len(data))]
        described = [_is_describe(parts, names) for parts, names in zip(data, headers, strict=True)]
        incoming = [
            Incoming(
                kind="explain" if names.get("explain") == "True" else "predict",
                parts=tuple(_parts(parts, context.get_all_request_header(place))),
                headers=names,
                request_id=context.get_request_id(place) or "",
                waited=_waited(names, now),
            )
            for place, (parts, names) in enumerate(zip(data, headers, strict=True))
            if not described[place]
        ]
        answers = self._classifier.answer(incoming)
        # What is sent on to another worker is counted there.
        self._tally.add([answer.record for answer in answers if answer.status != HeavyRequest.status])
        self._counted.set()
        left = iter(answers)
        return [
            self._describe() if described[place] else _send(next(left), headers[place], place, context)
            for place in range(len(data))
        ]

    def _hand_on(self, cache: Any) -> None:
        """Give TorchServe what was counted, once a second while there is something; never ends."""
        while True:
            self._counted.wait()
            self._counted.clear()
            try:
                self._emit(cache)
            except Exception:  # what is counted must not depend on what once went wrong
                logger.exception("metrics of a second are lost")
            time.sleep(FLUSH_SECONDS)

    def _emit(self, cache: Any) -> None:
        from ts.metrics.metric_cache_errors import MetricsCacheKeyError
        from ts.metrics.metric_type_enum import MetricTypes

        own = (self._classifier.card.name, self._classifier.card.version)
        for name, value, labels in self._tally.drain():
            try:
                metric = cache.get_metric(name, MetricTypes.COUNTER)
            except MetricsCacheKeyError:  # a TorchServe that was started without deploy/torchserve/metrics.yaml
                continue
            metric.add_or_update(value, [_label(text) for text in (*own, *labels)])

    def _describe(self) -> bytes:
        answering = {"name": self._classifier.engine.name, "passed_over": dict(self._choice.passed_over)}
        return orjson.dumps(self._classifier.card.model_dump(mode="json") | {"engine": answering})


def _limits(card: Card, own: dict[str, Any]) -> Limits:
    """The card's limits, with those that model-config.yaml names under `handler: limits:` in their place."""
    return Limits.model_validate(card.limits.model_dump() | (own.get("limits") or {}))


def _policy(card: Card, own: dict[str, Any]) -> Policy | None:
    """The policy of the card's `uncertainty`, with what `handler: policy:` names in its place."""
    changed = own.get("policy") or {}
    return Policy.model_validate(card.uncertainty.policy.model_dump() | changed) if card.uncertainty else None


def _waited(headers: dict[str, str], now: float) -> float | None:
    """Seconds since the proxy took the request, by the microseconds that it noted."""
    start = headers.get(START_HEADER, "")
    return max(0.0, now - int(start) / 1e6) if start.isascii() and start.isdigit() and len(start) < 20 else None


def _label(text: str) -> str:
    """Percent-encode the signs of a label's value that a line of TorchServe's cannot carry."""
    return text.translate(_ENCODED)


def _send(answer: Answer, headers: dict[str, str], place: int, context: Any) -> bytes:
    context.set_response_status(answer.status.value, answer.status.phrase, idx=place)
    for name, value in answer.headers.items():
        context.set_response_header(place, name, value)
    record = answer.record  # the proxy, which removes the header, takes a prediction without it for a light one
    if record.cpu_seconds >= LIGHT_SECONDS and record.kind == "predict" and START_HEADER in headers:
        context.set_response_header(place, COST_HEADER, str(round(record.cpu_seconds * 1000)))
    return answer.body


def _lower(properties: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name. What is not text is the type of a part, which TorchServe keeps among them."""
    return {name.lower(): value for name, value in properties.items() if isinstance(value, str)}


def _parts(parts: dict[str, Any], properties: dict[str, Any]) -> list[Part]:
    found = []
    for name, content in parts.items():
        kept = properties.get(name)
        found.append(Part(name, content, kept["content-type"] if isinstance(kept, dict) else ""))
    return found


def _is_describe(parts: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether the management API asks for the model's description (`GET /models/<model>?customized=true`).

    TorchServe marks that by a header, which a client can send with a prediction too; only the request of its own has
    no body.
    """
    return headers.get("describe") == "True" and not any(parts.values())


def _give_way() -> None:
    """Let others go first. On Linux each thread has a niceness of its own (setpriority(2)), which new ones inherit."""
    os.nice(NICENESS)
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICENESS)


def _shorten_the_wire(context: Any) -> None:
    import ts
    from ts import service

    torchserve_protocol.install(sys.modules["__main__"], service, context.metrics, os.environ, ts.__version__)
