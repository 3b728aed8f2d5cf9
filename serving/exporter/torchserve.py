"""The metrics that TorchServe's own endpoint publishes, as families with types, help texts and documented labels."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

import requests
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from serving.errors import Unreachable
from serving.exporter import families
from serving.exporter.definitions import (
    INFERENCE_LATENCY,
    INFERENCE_REQUESTS,
    QUEUE_LATENCY,
    WORKERS,
    Definition,
)
from serving.torchserve import worker_roles

SECONDS_PER_MICROSECOND = 1e-6
# TorchServe's own counters: the name that TorchServe gives each, and the factor to the unit of ours.
COUNTERS = {
    "ts_inference_requests_total": (INFERENCE_REQUESTS, 1.0),
    "ts_inference_latency_microseconds": (INFERENCE_LATENCY, SECONDS_PER_MICROSECOND),
    "ts_queue_latency_microseconds": (QUEUE_LATENCY, SECONDS_PER_MICROSECOND),
}

Samples = Mapping[str, list[Sample]]


def fetch(port: int, timeout: float) -> str:
    """Return the text of TorchServe's endpoint on loopback, which needs no token.

    Raises:
        Unreachable: no answer within `timeout` seconds, or no success.
    """
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=timeout)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise Unreachable(f"TorchServe's metrics cannot be read ({type(error).__name__})") from None
    return answer.content.decode(errors="replace")


def convert(text: str) -> Iterator[Metric]:
    """Return the metric families in the text of TorchServe's endpoint."""
    samples = parse(text)
    for definition in WORKERS:
        yield _histogram(definition, samples) if definition.kind == "histogram" else _counter(definition, samples)
    for name, (definition, factor) in COUNTERS.items():
        yield families.scalars(definition, _add_up(samples.get(name, ()), _registration_labels, factor))


def parse(text: str) -> Samples:
    """Return the samples by name. Types are not read: TorchServe calls `_bucket`, `_sum` and `_count` counters."""
    untyped = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(untyped + "\n"):
        for sample in family.samples:
            samples[sample.name].append(sample)
    return samples


def _counter(definition: Definition, samples: Samples) -> Metric:
    values = _add_up(samples.get(definition.name, ()), lambda sample: _own_labels(definition, sample))
    return families.scalars(definition, values)


def _histogram(definition: Definition, samples: Samples) -> Metric:
    buckets: defaultdict[tuple[str, ...], defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for sample in samples.get(f"{definition.name}_bucket", ()):
        buckets[_own_labels(definition, sample)][_bound(sample)] += sample.value
    sums = _add_up(samples.get(f"{definition.name}_sum", ()), lambda sample: _own_labels(definition, sample))
    return families.histogram(definition, buckets, sums)


def _add_up(
    samples: list[Sample] | tuple[()], labels_of: Callable[[Sample], tuple[str, ...]], factor: float = 1.0
) -> dict[tuple[str, ...], float]:
    """Return the values by labels. Samples that differ only in unpublished labels are summed."""
    values: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for sample in samples:
        values[labels_of(sample)] += sample.value * factor
    return dict(values)


def _own_labels(definition: Definition, sample: Sample) -> tuple[str, ...]:
    """Return the labels to publish. Workers percent-encode some characters (handlers/torchserve_handler.py)."""
    return tuple(unquote(sample.labels.get(label, "")) for label in definition.labels)


def _registration_labels(sample: Sample) -> tuple[str, ...]:
    """Return model, version and worker role of a registration."""
    model, role = split(sample.labels.get("model_name", ""))
    return model, sample.labels.get("model_version", ""), role


def split(registration: str) -> tuple[str, str]:
    """Return the model and the name of the role behind a name in TorchServe."""
    model, role = worker_roles.parse(registration)
    return model, role.name.lower()


def _bound(sample: Sample) -> float:
    text = sample.labels.get("le", "")
    return math.inf if text == "+Inf" else float(text)
