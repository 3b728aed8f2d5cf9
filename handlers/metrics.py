"""What is counted about each request, under the names that deploy/torchserve/metrics.yaml declares to TorchServe.

Histograms are in seconds, since TorchServe gives all of them Prometheus' default buckets (5 ms to 10 s).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from handlers.protocols import Result

Kind = Literal["counter", "histogram"]
LABELS = ("model_name", "model_version")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, kind, unit, and labels beside LABELS."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...] = ()


WAIT = Metric("torchlight_wait_seconds", "histogram", "seconds")
STAGES = {
    stage: Metric(f"torchlight_{stage}_seconds", "histogram", "seconds")
    for stage in ("decode", "inference", "explanation", "encode")
}
BATCH_SIZE = Metric("torchlight_batch_size", "histogram", "requests")
REQUESTS = Metric("torchlight_requests_total", "counter", "requests", ("kind",))
IMAGES = Metric("torchlight_images_total", "counter", "images", ("kind",))
ERRORS = Metric("torchlight_errors_total", "counter", "requests", ("type",))
CLASSES = Metric("torchlight_predicted_total", "counter", "images", ("label",))
CONFIDENCE = Metric("torchlight_confidence", "histogram", "probability")
METRICS = (WAIT, *STAGES.values(), BATCH_SIZE, REQUESTS, IMAGES, ERRORS, CLASSES, CONFIDENCE)

Observation = tuple[Metric, float, tuple[str, ...]]  # which, value, the values of its own labels


@dataclass(slots=True)
class Record:
    """One request, as it is counted.

    Attributes:
        waited: seconds from the front door to the worker: network, queue, and until the batch was full.
        seconds: by stage; a stage that a batch went through together counts whole for each of its requests.
    """

    kind: str
    waited: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""
    found: list[tuple[str, float]] = field(default_factory=list)

    def succeeded(self, results: Sequence[Result]) -> None:
        """Keep the most probable class of each image, and its probability."""
        tops = [result.predictions[0] for result in results]
        self.found = [(top["label"], top["probability"]) for top in tops]

    def failed(self, error: str) -> None:
        """Keep the type word of the error."""
        self.error = error

    def server_timing(self) -> str:
        """The value of the Server-Timing header (W3C Server Timing), in milliseconds."""
        waited = {} if self.waited is None else {"wait": self.waited}
        return ", ".join(f"{stage};dur={value * 1000:.2f}" for stage, value in {**waited, **self.seconds}.items())


def observations(records: Sequence[Record]) -> Iterator[Observation]:
    """What to emit for one batch. What the batch went through together is observed once; counts are added up.

    Each observation is a line of text that TorchServe takes apart, so there are as few as can be.
    """
    yield BATCH_SIZE, len(records), ()
    for stage, metric in STAGES.items():
        values = [record.seconds[stage] for record in records if stage in record.seconds]
        if stage in ("inference", "explanation"):
            values = values[:1]
        for value in values:
            yield metric, value, ()
    counts: Counter[tuple[Metric, str]] = Counter()
    for record in records:
        if record.waited is not None:
            yield WAIT, record.waited, ()
        counts[REQUESTS, record.kind] += 1
        counts[IMAGES, record.kind] += len(record.found)
        if record.error:
            counts[ERRORS, record.error] += 1
        for label, probability in record.found:
            counts[CLASSES, label] += 1
            yield CONFIDENCE, probability, ()
    for (metric, label), count in counts.items():
        if count:
            yield metric, count, (label,)


def declaration() -> dict[str, list[dict[str, Any]]]:
    """The `model_metrics` of metrics.yaml."""
    found: dict[str, list[dict[str, Any]]] = {}
    for metric in METRICS:
        entry = {"name": metric.name, "unit": metric.unit, "dimensions": [*LABELS, *metric.labels]}
        found.setdefault(metric.kind, []).append(entry)
    return found
