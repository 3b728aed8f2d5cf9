from __future__ import annotations

import re

import pytest

from handlers import metrics
from serving.exporter.definitions import DEFINITIONS, VERSION, WORKERS, Definition
from serving.exporter.proxy import FRONTEND
from serving.proxy.haproxy import TEMPLATE


def test_worker_metrics_are_defined_with_the_same_labels() -> None:
    totals = [(counter.name, (*metrics.LABELS, *counter.labels)) for counter in metrics.COUNTERS]
    histograms = [(histogram.name, metrics.LABELS) for histogram in metrics.HISTOGRAMS]
    defined = [(definition.name, definition.labels, definition.kind) for definition in WORKERS]
    assert defined == [
        *((name, labels, "counter") for name, labels in totals),
        *((name, labels, "histogram") for name, labels in histograms),
    ]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=[definition.name for definition in DEFINITIONS])
def test_name_help_and_labels_keep_to_prometheus_conventions(definition: Definition) -> None:
    assert re.fullmatch(r"(torchlight|ts)_[a-z_]+", definition.name)
    assert (definition.kind == "counter") == definition.name.endswith("_total")
    assert re.fullmatch(r"[A-Z0-9].*\.", definition.help)
    assert not {"le", "quantile", "job", "instance"} & set(definition.labels)
    assert definition.labels[:2] == VERSION or len(definition.labels) < 2


def test_names_and_help_texts_differ() -> None:
    assert len({definition.name for definition in DEFINITIONS}) == len(DEFINITIONS)
    assert len({definition.help for definition in DEFINITIONS}) == len(DEFINITIONS)


def test_the_proxy_has_a_frontend_of_this_name() -> None:
    assert re.search(rf"^frontend {FRONTEND}\b", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
