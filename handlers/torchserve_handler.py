"""The handler that TorchServe loads.

TorchServe imports this file by its base name from the root of the unpacked .mar, and uses the one class in it:
`initialize(context)` once a worker, then `handle(data, context)` for each batch (ts/model_loader.py, ts/service.py).
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import torch

from handlers import golden_answers, torchserve_protocol
from handlers.batch import ExplanationPlugin
from handlers.classifier import Classifier
from handlers.engines import selection
from handlers.metrics import MetricsBuffer
from handlers.modalities.image.cost import LIGHT_SECONDS, HeavyRequest
from handlers.pipeline import BUDGET_SECONDS, Pipeline
from handlers.protocols import Response
from handlers.protocols.multipart import Part
from handlers.request import RawRequest
from handlers.shadow.sampler import Sampler
from models.card import Card, Limits, Policy
from models.release import verify_digests

logger = logging.getLogger(__name__)

# The time at which the proxy took the request, in microseconds since 1970.
START_HEADER = "x-torchlight-start"
# Milliseconds of work of a prediction, if there were LIGHT_SECONDS or more.
COST_HEADER = "X-Torchlight-Cost"
# Present on a response with a referred image. The proxy counts it during a rollout, and removes it.
REFERRED_HEADER = "X-Torchlight-Referred"
FLUSH_SECONDS = 1.0
# Name endings of registrations whose role is not to predict (serving/torchserve/worker_roles.py). Workers that explain
# run at this niceness (nice(2)), so they use idle time only.
EXPLAINS = "-explain"
NICENESS = 19
# A model is loaded at this niceness, so that workers that answer go first (serving/torchserve/start_worker.py).
LOADING_NICENESS = 10
# The unbatched worker takes single predictions. It logs this line when it is ready.
UNBATCHED = "-unbatched"
READY_FOR_UNBATCHED = "this worker answers single predictions"
# Characters with a meaning in TorchServe's line of text, percent-encoded; serving/exporter/torchserve.py decodes them.
_ENCODED = str.maketrans({sign: f"%{ord(sign):02X}" for sign in ("%", *"|,:#", *map(chr, (*range(32), 127)))})


class ImageClassifier:
    """Server of one version of one model in one worker process."""

    def initialize(self, context: Any) -> None:
        """Load the model and check its golden answers, or raise: TorchServe then never calls this worker READY.

        Raises:
            CardError, ReleaseError, EngineError, UncertaintyError, GoldenError, NeighborsError: a file is damaged, or
                gives other answers on this machine than where it was trained.
        """
        folder = Path(context.system_properties["model_dir"])
        gpu = context.system_properties.get("gpu_id")
        on_gpu = gpu is not None and torch.cuda.is_available()
        device = torch.device(f"cuda:{gpu}" if on_gpu else "cpu")
        card = Card.load(folder)
        if threads := (context.model_yaml_config.get("handler") or {}).get("threads"):
            torch.set_num_threads(threads)
        _at_low_priority(partial(self._load, context, folder, card, device))
        gc.collect()
        gc.freeze()  # loaded objects live as long as the worker: the collector need not look at them again and again

    def _load(self, context: Any, folder: Path, card: Card, device: torch.device) -> None:
        config = context.model_yaml_config
        settings = config.get("handler") or {}
        # Beyond responseTimeout TorchServe kills the worker, and the whole batch gets a 500.
        budget_seconds = float(config.get("responseTimeout", 2 * BUDGET_SECONDS)) / 2
        verify_digests(folder, card)  # before loading anything: a compiled engine is code
        limits, policy = _limits(card, settings), _policy(card, settings)
        load_engine = partial(golden_answers.load_checked, folder, device, limits=limits, policy=policy)
        loaded = selection.load(card, device, load_engine, settings.get("engine", selection.AUTO))
        self._classifier, self._passed_over = loaded.model, loaded.passed_over
        self._classifier.warm_up(int(context.system_properties.get("batch_size") or 1))
        self._pipeline = Pipeline(self._classifier, _plug_in, budget_seconds)
        _install_protocol(context)
        self._metrics, self._has_metrics = MetricsBuffer(), threading.Event()
        self._has_metrics.set()  # rates need each counter's 0 before the first request
        threading.Thread(target=self._flush_forever, args=(context.metrics,), name="metrics", daemon=True).start()
        self._sampler = Sampler(Path(tempfile.gettempdir()), card.name, card.version)
        self._sampler.start()
        if context.model_name.endswith(EXPLAINS):
            self._pipeline.explanations.warm_up()
            _lower_priority()
            logger.info("this worker explains, at niceness %d", os.getpriority(os.PRIO_PROCESS, 0))
        elif context.model_name.endswith(UNBATCHED) and context.system_properties.get("batch_size") == 1:
            logger.info(READY_FOR_UNBATCHED)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: return one body for each request, and set its status and headers in the context."""
        now = time.time()
        headers = [_lower(context.get_all_request_header(index)) for index in range(len(data))]
        described = [_is_describe(parts, names) for parts, names in zip(data, headers, strict=True)]
        batch = [
            RawRequest(
                kind="explain" if names.get("explain") == "True" else "predict",
                parts=tuple(_parts(parts, context.get_all_request_header(index))),
                headers=names,
                request_id=context.get_request_id(index) or "",
                queue_seconds=_queue_seconds(names, now),
            )
            for index, (parts, names) in enumerate(zip(data, headers, strict=True))
            if not described[index]
        ]
        responses = self._pipeline.answer(batch)
        self._sampler.offer(batch, responses)
        # A request that is sent on to another worker is counted there.
        counted = [
            response.metrics
            for raw, response in zip(batch, responses, strict=True)
            if response.status != HeavyRequest.status and not raw.is_copy
        ]
        self._metrics.add(counted)
        self._has_metrics.set()
        remaining = iter(responses)
        return [
            self._describe() if described[index] else _send(next(remaining), headers[index], index, context)
            for index in range(len(data))
        ]

    def _flush_forever(self, cache: Any) -> None:
        """Hand new counts to TorchServe, once a second."""
        while True:
            self._has_metrics.wait()
            self._has_metrics.clear()
            try:
                self._flush(cache)
            except Exception:  # later counts must not depend on what once went wrong
                logger.exception("metrics of a second are lost")
            time.sleep(FLUSH_SECONDS)

    def _flush(self, cache: Any) -> None:
        from ts.metrics.metric_cache_errors import MetricsCacheKeyError
        from ts.metrics.metric_type_enum import MetricTypes

        model = (self._classifier.card.name, self._classifier.card.version)
        for name, value, labels in self._metrics.drain():
            try:
                metric = cache.get_metric(name, MetricTypes.COUNTER)
            except MetricsCacheKeyError:  # a TorchServe that was started without deploy/torchserve/metrics.yaml
                continue
            metric.add_or_update(value, [_label(text) for text in (*model, *labels)])

    def _describe(self) -> bytes:
        engine = {"name": self._classifier.engine.name, "passed_over": dict(self._passed_over)}
        return orjson.dumps(self._classifier.card.model_dump(mode="json") | {"engine": engine})


def _plug_in(classifier: Classifier) -> ExplanationPlugin:
    """Make the plug-in for explanations. A worker that only predicts never imports it, nor captum."""
    from handlers.explain.plugin import AttributionPlugin

    return AttributionPlugin(classifier)


def _limits(card: Card, settings: dict[str, Any]) -> Limits:
    """Return the card's limits, replaced by those in model-config.yaml under `handler: limits:`."""
    return Limits.model_validate(card.limits.model_dump() | (settings.get("limits") or {}))


def _policy(card: Card, settings: dict[str, Any]) -> Policy | None:
    """Return the policy of the card's `uncertainty`, with the changes that `handler: policy:` names."""
    changes = settings.get("policy") or {}
    return Policy.model_validate(card.uncertainty.policy.model_dump() | changes) if card.uncertainty else None


def _queue_seconds(headers: dict[str, str], now: float) -> float | None:
    """Return the seconds since the proxy took the request, by the microseconds that it noted."""
    start = headers.get(START_HEADER, "")
    return max(0.0, now - int(start) / 1e6) if start.isascii() and start.isdigit() and len(start) < 20 else None


def _label(text: str) -> str:
    """Percent-encode the characters of a label's value that a line of TorchServe's cannot carry."""
    return text.translate(_ENCODED)


def _send(response: Response, headers: dict[str, str], index: int, context: Any) -> bytes:
    context.set_response_status(response.status.value, response.status.phrase, idx=index)
    for name, value in response.headers.items():
        context.set_response_header(index, name, value)
    metrics = response.metrics  # the proxy, which removes the header, takes a prediction without it for a light one
    if metrics.cpu_seconds >= LIGHT_SECONDS and metrics.kind == "predict" and START_HEADER in headers:
        context.set_response_header(index, COST_HEADER, str(round(metrics.cpu_seconds * 1000)))
    if START_HEADER in headers and any(decision == "refer" for decision, *_ in metrics.decisions):
        context.set_response_header(index, REFERRED_HEADER, "1")
    return response.body


def _lower(properties: dict[str, Any]) -> dict[str, str]:
    """Return headers by lower-case name. TorchServe keeps the types of parts among them; these are not text."""
    return {name.lower(): value for name, value in properties.items() if isinstance(value, str)}


def _parts(parts: dict[str, Any], properties: dict[str, Any]) -> list[Part]:
    converted = []
    for name, content in parts.items():
        about = properties.get(name)
        converted.append(Part(name, content, about["content-type"] if isinstance(about, dict) else ""))
    return converted


def _is_describe(parts: dict[str, Any], headers: dict[str, str]) -> bool:
    """Return whether the management API asks for the description (`GET /models/<model>?customized=true`).

    TorchServe marks that by a header, which a client can send with a prediction too. Only TorchServe's own request has
    no body.
    """
    return headers.get("describe") == "True" and not any(parts.values())


def _at_low_priority(work: Callable[[], None]) -> None:
    """Do some work in a thread with LOADING_NICENESS, and wait for it. Linux has a niceness for each thread."""

    def lower() -> None:
        thread = threading.get_native_id()
        # A process that was started at a higher niceness may not lower it.
        os.setpriority(os.PRIO_PROCESS, thread, max(LOADING_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))

    with ThreadPoolExecutor(1, thread_name_prefix="load", initializer=lower) as thread:
        thread.submit(work).result()


def _lower_priority() -> None:
    """Let other processes run first. Linux has a niceness for each thread (setpriority(2)); new threads inherit it."""
    os.nice(NICENESS)
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICENESS)


def _install_protocol(context: Any) -> None:
    import ts
    from ts import service

    torchserve_protocol.install(sys.modules["__main__"], service, context.metrics, os.environ, ts.__version__)
