"""Counts of a worker's requests, under the names that deploy/torchserve/metrics.yaml declares to TorchServe.

TorchServe takes metrics as lines of text, which it parses one by one, and gives every histogram the same buckets from
5 ms. So a worker accumulates its counts itself, in suitable buckets. Once a second it sends the sums to TorchServe, as
counters called _bucket (cumulative, by `le`), _sum and _count. serving/exporter/ makes histograms of them.
"""

from __future__ import annotations

import collections
import math
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

LABELS = ("model_name", "model_version")
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# Requests are counted by kind; `metadata` asks about the model and sends no image.
Kind = Literal["predict", "explain", "metadata"]


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter, with labels in addition to LABELS."""

    name: str
    unit: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by upper bound (`le`), their sum and number. `bounds` leaves +Inf out."""

    name: str
    unit: str
    bounds: tuple[float, ...] = SECONDS


QUEUE = Histogram("torchlight_queue_seconds", "seconds")
STAGES = {
    stage: Histogram(f"torchlight_{stage}_seconds", "seconds")
    for stage in ("decode", "inference", "explanation", "render", "encode")
}
BATCH_SIZE = Histogram("torchlight_batch_size", "requests", (1, 2, 4, 8, 16, 32, 64, 128))
CONFIDENCE = Histogram("torchlight_confidence", "probability", (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1))
SET_SIZE = Histogram("torchlight_prediction_set_size", "classes", (1, 2, 3, 4, 5, 10, 20, 50, 100))
HISTOGRAMS = (QUEUE, *STAGES.values(), BATCH_SIZE, CONFIDENCE, SET_SIZE)
REQUESTS = Counter("torchlight_requests_total", "requests", ("kind",))
IMAGES = Counter("torchlight_images_total", "images", ("kind",))
ERRORS = Counter("torchlight_errors_total", "requests", ("type",))
PREDICTIONS = Counter("torchlight_predictions_total", "images", ("label",))
DECISIONS = Counter("torchlight_decisions_total", "images", ("decision", "reason"))
EXPLANATIONS = Counter("torchlight_explanations_total", "images", ("method",))
COUNTERS = (REQUESTS, IMAGES, ERRORS, PREDICTIONS, DECISIONS, EXPLANATIONS)

Increment = tuple[str, float, tuple[str, ...]]  # the name of a counter, by how much, the values of its own labels


@dataclass(slots=True)
class RequestMetrics:
    """Counts and times of one request.

    Attributes:
        queue_seconds: from the proxy to the worker: network, queue, and until the batch was full.
        seconds: by stage. A stage that several requests share counts in full for each of them.
        cpu_seconds: of parsing and decoding, and of inference beyond the first image.
        passes: stage and seconds of each run of a stage. A run for several requests is listed with the first of them.
        error: the type of the error that was answered, or nothing.
        predictions: label and probability of each image's top class.
        decisions: decision of each image, its reason ("none" for accept), and the size of its prediction set, if it has
            one.
        methods: the attribution method of each explanation.
    """

    kind: Kind = "predict"
    queue_seconds: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    passes: list[tuple[str, float]] = field(default_factory=list)
    error: str = ""
    predictions: list[tuple[str, float]] = field(default_factory=list)
    decisions: list[tuple[str, str, int | None]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def server_timing(self) -> str:
        """Return the value of the Server-Timing header (W3C Server Timing), in milliseconds."""
        queue = {} if self.queue_seconds is None else {"queue": self.queue_seconds}
        return ", ".join(f"{stage};dur={value * 1000:.2f}" for stage, value in {**queue, **self.seconds}.items())


class MetricsBuffer:
    """Accumulated counts of a worker since they were last handed to TorchServe. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh = True
        self._reset()

    def _reset(self) -> None:
        self._totals: collections.Counter[tuple[str, ...]] = collections.Counter()
        self._counts = {histogram.name: [0] * (len(histogram.bounds) + 1) for histogram in HISTOGRAMS}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def add(self, batch: Sequence[RequestMetrics]) -> None:
        """Count one batch."""
        if not batch:
            return
        with self._lock:
            self._observe(BATCH_SIZE, len(batch))
            for request in batch:
                self._totals[REQUESTS.name, request.kind] += 1
                self._totals[IMAGES.name, request.kind] += len(request.predictions)
                if request.error:
                    self._totals[ERRORS.name, request.error] += 1
                if request.queue_seconds is not None:
                    self._observe(QUEUE, request.queue_seconds)
                for stage, seconds in request.passes:
                    self._observe(STAGES[stage], seconds)
                for label, probability in request.predictions:
                    self._totals[PREDICTIONS.name, label] += 1
                    self._observe(CONFIDENCE, probability)
                for method in request.methods:
                    self._totals[EXPLANATIONS.name, method] += 1
                for decision, reason, size in request.decisions:
                    self._totals[DECISIONS.name, decision, reason] += 1
                    if size is not None:
                        self._observe(SET_SIZE, size)

    def _observe(self, histogram: Histogram, value: float) -> None:
        self._counts[histogram.name][bisect_left(histogram.bounds, value)] += 1
        self._sums[histogram.name] += value

    def drain(self) -> list[Increment]:
        """Return the counts since the last call, and reset them to zero.

        The first call lists every bucket, because a quantile needs the empty ones too.
        """
        with self._lock:
            totals, counts, sums, fresh = self._totals, self._counts, self._sums, self._fresh
            self._fresh = False
            self._reset()
        increments: list[Increment] = [
            (name, value, tuple(labels)) for (name, *labels), value in totals.items() if value
        ]
        for histogram in HISTOGRAMS:
            below = list(accumulate(counts[histogram.name]))
            if below[-1] or fresh:
                bounds = (*histogram.bounds, math.inf)
                buckets = [(_le(bound), n) for bound, n in zip(bounds, below, strict=True) if n or fresh]
                increments += [(f"{histogram.name}_bucket", n, (le,)) for le, n in buckets]
                increments.append((f"{histogram.name}_sum", sums[histogram.name], ()))
                increments.append((f"{histogram.name}_count", below[-1], ()))
        return increments


def _le(bound: float) -> str:
    return "+Inf" if bound == math.inf else f"{bound:g}"


def declaration() -> list[dict[str, Any]]:
    """Return the counters under `model_metrics` of metrics.yaml."""
    rows: list[tuple[str, str, tuple[str, ...]]] = [
        (counter.name, counter.unit, counter.labels) for counter in COUNTERS
    ]
    for histogram in HISTOGRAMS:
        rows.append((f"{histogram.name}_bucket", histogram.unit, ("le",)))
        rows += [(f"{histogram.name}_{suffix}", histogram.unit, ()) for suffix in ("sum", "count")]
    return [{"name": name, "unit": unit, "dimensions": [*LABELS, *labels]} for name, unit, labels in rows]
