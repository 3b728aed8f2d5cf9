"""Metrics from the proxy's runtime API: connections, responses, queues, and the requests in flight of each version."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from serving.exporter import families
from serving.exporter.definitions import CONNECTIONS, IN_FLIGHT, MAX_CONNECTIONS, QUEUED, RESPONSES
from serving.proxy.routing import Routing

# The frontend that clients connect to (deploy/haproxy/haproxy.cfg.jinja).
FRONTEND = "proxy"
STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


def collect(routing: Routing) -> Iterator[Metric]:
    """Return the metric families of the proxy.

    Raises:
        Unreachable: the proxy does not answer.
    """
    rows = routing.statistics()
    frontend = next(row for row in rows if (row["pxname"], row["svname"]) == (FRONTEND, "FRONTEND"))
    yield families.scalar(CONNECTIONS, float(frontend["scur"]))
    yield families.scalar(MAX_CONNECTIONS, float(frontend["slim"]))
    yield families.scalars(RESPONSES, {(status,): float(frontend[f"hrsp_{status}"]) for status in STATUSES})
    # A backend without servers holds only a table.
    with_servers = {row["pxname"] for row in rows if row["svname"] not in ("FRONTEND", "BACKEND")}
    queued: dict[tuple[str, ...], float] = {
        (row["pxname"],): float(row["qcur"])
        for row in rows
        if row["svname"] == "BACKEND" and row["pxname"] in with_servers
    }
    yield families.scalars(QUEUED, queued)
    in_flight = dict.fromkeys(routing.versions(), 0) | routing.all_in_flight()
    yield families.scalars(IN_FLIGHT, {tuple(key.split("/", 1)): float(count) for key, count in in_flight.items()})
