"""Block of docs/reference/metrics.md: the metrics of the endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.maintenance import markdown
from serving.exporter.definitions import DEFINITIONS, Definition

# Labels that most metrics have, shortened in the table.
SHORT = {"model_name": "m", "model_version": "v"}


def blocks() -> Mapping[str, str]:
    """Return the block by its name."""
    return {"metrics": markdown.table(["metric", "type", "labels", "meaning"], [_row(each) for each in DEFINITIONS])}


def _row(metric: Definition) -> list[str]:
    labels = ", ".join(SHORT.get(label) or markdown.code(label) for label in metric.labels)
    return [markdown.code(metric.name), metric.kind, labels, metric.help.removesuffix(".")]
