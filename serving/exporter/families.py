"""Prometheus metric families, made from definitions and samples."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from serving.exporter.definitions import Definition

# Values by the values of the definition's labels, in its order.
Values = Mapping[tuple[str, ...], float]


def scalars(definition: Definition, values: Values) -> Metric:
    """Return the metric family of a counter or gauge."""
    family: CounterMetricFamily | GaugeMetricFamily
    if definition.kind == "counter":
        family = CounterMetricFamily(definition.name, definition.help, labels=definition.labels)
    else:
        family = GaugeMetricFamily(definition.name, definition.help, labels=definition.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def scalar(definition: Definition, value: float) -> Metric:
    """Return the metric family of a metric without labels."""
    return scalars(definition, {(): value})


def histogram(definition: Definition, buckets: Mapping[tuple[str, ...], Mapping[float, float]], sums: Values) -> Metric:
    """Return the metric family of a histogram.

    Workers hand their buckets on one after the other, so a scrape may see some of them a moment before the others. No
    bucket is published with less than the bucket before it.

    Args:
        definition: the name and labels of the histogram.
        buckets: cumulative counts by upper bound, for each set of labels.
        sums: the sum of the observations.
    """
    family = HistogramMetricFamily(definition.name, definition.help, labels=definition.labels)
    for labels, counts in sorted(buckets.items()):
        highest, cumulative = 0.0, []
        for bound, count in sorted(({math.inf: 0.0} | dict(counts)).items()):
            highest = max(highest, count)
            cumulative.append(("+Inf" if bound == math.inf else repr(bound), highest))
        family.add_metric(labels, cumulative, sums.get(labels, 0.0))
    return family
