"""What is counted about each request, under the names that deploy/torchserve/metrics.yaml declares to TorchServe.

TorchServe takes metrics as lines of text, which it takes apart one by one, and gives every
histogram the same buckets from 5 ms. So a worker adds up by itself, in buckets that fit, and hands on the sums once a
second, as counters called _bucket (cumulative, by `le`), _sum and _count. serving/exporter/ makes histograms of them.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from handlers.protocols import Result

LABELS = ("model_name", "model_version")
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Total:
    """A counter, with one label beside LABELS."""

    name: str
    unit: str
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by upper bound (`le`), their sum and number. `bounds` leaves +Inf out."""

    name: str
    unit: str
    bounds: tuple[float, ...] = SECONDS


WAIT = Histogram("torchlight_queue_seconds", "seconds")
STAGES = {
    stage: Histogram(f"torchlight_{stage}_seconds", "seconds")
    for stage in ("decode", "inference", "explanation", "render", "encode")
}
BATCH_SIZE = Histogram("torchlight_batch_size", "requests", (1, 2, 4, 8, 16, 32, 64, 128))
CONFIDENCE = Histogram("torchlight_confidence", "probability", (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1))
SET_SIZE = Histogram("torchlight_prediction_set_size", "classes", (1, 2, 3, 4, 5, 10, 20, 50, 100))
HISTOGRAMS = (WAIT, *STAGES.values(), BATCH_SIZE, CONFIDENCE, SET_SIZE)
REQUESTS = Total("torchlight_requests_total", "requests", "kind")
IMAGES = Total("torchlight_images_total", "images", "kind")
ERRORS = Total("torchlight_errors_total", "requests", "type")
CLASSES = Total("torchlight_predictions_total", "images", "label")
DECISIONS = Total("torchlight_decisions_total", "images", "decision")
EXPLAINED = Total("torchlight_explanations_total", "images", "method")
TOTALS = (REQUESTS, IMAGES, ERRORS, CLASSES, DECISIONS, EXPLAINED)

Increment = tuple[str, float, tuple[str, ...]]  # the name of a counter, by how much, the value of its own label


@dataclass(slots=True)
class Record:
    """One request, as it is counted.

    Attributes:
        waited: seconds from the proxy to the worker: network, queue, and until the batch was full.
        seconds: by stage; a stage that several requests went through together counts whole for each of them.
        cpu_seconds: of parsing and decoding, and of inference beyond the first image.
        passes: each time that something was done, by stage; what was done for several stands with the first of them.
    """

    kind: str
    waited: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    passes: list[tuple[str, float]] = field(default_factory=list)
    error: str = ""
    found: list[tuple[str, float]] = field(default_factory=list)
    judged: list[tuple[str, int]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def succeeded(self, results: Sequence[Result]) -> None:
        """Keep each image's top class and probability, its decision, the size of its set, and its method."""
        tops = [result.predictions[0] for result in results]
        self.found = [(top["label"], top["probability"]) for top in tops]
        uncertainties = [result.uncertainty for result in results if result.uncertainty is not None]
        self.methods = [result.explanation.fields["method"] for result in results if result.explanation is not None]
        self.judged = [(one.reason or one.decision, len(one.set)) for one in uncertainties]

    def failed(self, error: str) -> None:
        """Keep the type word of the error."""
        self.error = error

    def server_timing(self) -> str:
        """The value of the Server-Timing header (W3C Server Timing), in milliseconds."""
        waited = {} if self.waited is None else {"wait": self.waited}
        return ", ".join(f"{stage};dur={value * 1000:.2f}" for stage, value in {**waited, **self.seconds}.items())


class Tally:
    """Adds up what a worker answers until it is handed on. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh = True
        self._reset()

    def _reset(self) -> None:
        self._totals: Counter[tuple[str, str]] = Counter()
        self._counts = {histogram.name: [0] * (len(histogram.bounds) + 1) for histogram in HISTOGRAMS}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def add(self, records: Sequence[Record]) -> None:
        """Count one batch."""
        if not records:
            return
        with self._lock:
            self._observe(BATCH_SIZE, len(records))
            for record in records:
                self._totals[REQUESTS.name, record.kind] += 1
                self._totals[IMAGES.name, record.kind] += len(record.found)
                if record.error:
                    self._totals[ERRORS.name, record.error] += 1
                if record.waited is not None:
                    self._observe(WAIT, record.waited)
                for stage, seconds in record.passes:
                    self._observe(STAGES[stage], seconds)
                for label, probability in record.found:
                    self._totals[CLASSES.name, label] += 1
                    self._observe(CONFIDENCE, probability)
                for method in record.methods:
                    self._totals[EXPLAINED.name, method] += 1
                for decision, size in record.judged:
                    self._totals[DECISIONS.name, decision] += 1
                    self._observe(SET_SIZE, size)

    def _observe(self, histogram: Histogram, value: float) -> None:
        self._counts[histogram.name][bisect_left(histogram.bounds, value)] += 1
        self._sums[histogram.name] += value

    def drain(self) -> list[Increment]:
        """What was added since the last time; the first time with every bucket, for a quantile needs the empty ones."""
        with self._lock:
            totals, counts, sums, fresh = self._totals, self._counts, self._sums, self._fresh
            self._fresh = False
            self._reset()
        found: list[Increment] = [(name, value, (label,)) for (name, label), value in totals.items() if value]
        for histogram in HISTOGRAMS:
            below = list(accumulate(counts[histogram.name]))
            if below[-1] or fresh:
                bounds = (*histogram.bounds, math.inf)
                buckets = [(_le(bound), n) for bound, n in zip(bounds, below, strict=True) if n or fresh]
                found += [(f"{histogram.name}_bucket", n, (le,)) for le, n in buckets]
                found.append((f"{histogram.name}_sum", sums[histogram.name], ()))
                found.append((f"{histogram.name}_count", below[-1], ()))
        return found


def _le(bound: float) -> str:
    return "+Inf" if bound == math.inf else f"{bound:g}"


def declaration() -> list[dict[str, Any]]:
    """The counters under `model_metrics` of metrics.yaml."""
    found: list[tuple[str, str, tuple[str, ...]]] = [(total.name, total.unit, (total.label,)) for total in TOTALS]
    for histogram in HISTOGRAMS:
        found.append((f"{histogram.name}_bucket", histogram.unit, ("le",)))
        found += [(f"{histogram.name}_{part}", histogram.unit, ()) for part in ("sum", "count")]
    return [{"name": name, "unit": unit, "dimensions": [*LABELS, *own]} for name, unit, own in found]
