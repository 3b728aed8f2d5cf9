"""Worker counts of each version, from TorchServe's management API."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from serving.exporter import families, torchserve
from serving.exporter.definitions import WORKERS_CONFIGURED, WORKERS_READY
from serving.torchserve.management import Management


def collect(management: Management) -> Iterator[Metric]:
    """Return the metric families of worker counts.

    Raises:
        ManagementError: TorchServe does not answer, or not with a success.
    """
    ready: dict[tuple[str, ...], float] = {}
    configured: dict[tuple[str, ...], float] = {}
    for registration in management.models():
        model, role = torchserve.split(registration)
        for version in management.describe(registration):
            labels = (model, version.version, role)
            ready[labels], configured[labels] = float(version.ready), float(version.configured)
    yield families.scalars(WORKERS_READY, ready)
    yield families.scalars(WORKERS_CONFIGURED, configured)
