"""The process of the metrics endpoint: `python -m serving.exporter.server --port 8080`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from serving.exporter.collector import ServerCollector, Sources
from serving.runtime.instance import ROOT, Instance, Ports

HOST = "127.0.0.1"
PATH = "/metrics"
# A client that sends nothing for so long loses its connection.
CLIENT_SECONDS = 10

Environment = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environment, StartResponse], Iterable[bytes]]


def application(registry: CollectorRegistry) -> Application:
    """Return the WSGI application: GET and HEAD of /metrics, in Prometheus or OpenMetrics text, by Accept."""
    metrics = make_wsgi_app(registry)

    def answer(environment: Environment, start_response: StartResponse) -> Iterable[bytes]:
        if environment["PATH_INFO"] != PATH:
            return _refuse(environment, start_response, "404 Not Found", f"the metrics are at {PATH}\n")
        if environment["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refuse(environment, start_response, "405 Method Not Allowed", "send GET or HEAD\n", "GET, HEAD")
        if environment["REQUEST_METHOD"] == "GET":
            return list(metrics(environment, start_response))
        response: list[Any] = []
        body = b"".join(metrics(environment | {"REQUEST_METHOD": "GET"}, lambda *line: response.extend(line)))
        status, headers = response
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return []

    return answer


def _refuse(
    environment: Environment, start_response: StartResponse, status: str, message: str, allow: str = ""
) -> list[bytes]:
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(message)))]
    start_response(status, [*headers, *([("Allow", allow)] if allow else [])])
    return [] if environment["REQUEST_METHOD"] == "HEAD" else [message.encode()]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each scrape."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """No log line for a scrape."""

    timeout = CLIENT_SECONDS

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


def serve(sources: Sources) -> WSGIServer:
    """Return a server that is bound and listens; call `serve_forever` to answer requests."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerCollector(sources))
    return make_server(HOST, sources.instance.ports.metrics, application(registry), _Server, _Handler)


def main(argv: list[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m serving.exporter.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the server's public port; the metrics are at + 2")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of all servers (default: .run)")
    parser.add_argument("--socket", type=Path, help="the proxy's runtime API (default: there is no proxy)")
    parser.add_argument(
        "--start", type=float, default=time.time(), help="start of the server in seconds since 1970 (default: now)"
    )
    arguments = parser.parse_args(argv)
    instance = Instance(Ports(arguments.port), arguments.root)
    sources = Sources(instance, arguments.socket, arguments.start)
    try:
        server = serve(sources)
    except OSError as error:
        sys.exit(f"port {sources.instance.ports.metrics} on {HOST} cannot be used for metrics: {error.strerror}")
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
