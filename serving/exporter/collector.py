"""One scrape: what TorchServe, its management API, the proxy and the records of rollouts say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from serving import VERSION
from serving.errors import ManagementError, Unreachable
from serving.exporter import families, proxy, rollouts, torchserve, workers
from serving.exporter.definitions import BUILD, PROXY_UP, START, UP
from serving.proxy import routing
from serving.proxy.routing import Routing
from serving.runtime.instance import Instance
from serving.torchserve.management import Management

# Less than Prometheus waits (scrape_timeout, 10 s), with time for the proxy behind it.
TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sources:
    """The addresses that a scrape reads.

    Attributes:
        instance: the server, whose folder has its map of versions and TorchServe's key file.
        socket: the proxy's runtime API; None where the server runs without a proxy.
        start: when the server started, in seconds since 1970.
    """

    instance: Instance
    socket: Path | None
    start: float


class ServerCollector(Collector):
    """Reads all sources at each scrape. A source that does not answer leaves its metrics out."""

    def __init__(self, sources: Sources, timeout: float = TIMEOUT_SECONDS) -> None:
        self._sources = sources
        self._timeout = timeout

    def collect(self) -> Iterator[Metric]:
        """Return all metric families, with their current values."""
        yield families.scalars(BUILD, {(VERSION,): 1.0})
        yield families.scalar(START, self._sources.start)
        yield from self._model_server()
        if self._sources.socket is not None:
            yield from self._proxy(self._sources.socket)
        yield from rollouts.collect(self._sources.instance.folder)

    def _model_server(self) -> Iterator[Metric]:
        try:
            text = torchserve.fetch(self._sources.instance.ports.torchserve_metrics, self._timeout)
        except Unreachable:
            yield families.scalar(UP, 0.0)
            return
        yield families.scalar(UP, 1.0)
        yield from torchserve.convert(text)
        with suppress(ManagementError):  # a version went away while its workers were counted
            yield from list(workers.collect(Management.of(self._sources.instance, self._timeout)))

    def _proxy(self, socket: Path) -> Iterator[Metric]:
        versions = Routing(self._sources.instance.folder / routing.FILE_NAME, socket)
        try:
            measured = list(proxy.collect(versions))
        except Unreachable:
            yield families.scalar(PROXY_UP, 0.0)
            return
        yield families.scalar(PROXY_UP, 1.0)
        yield from measured
