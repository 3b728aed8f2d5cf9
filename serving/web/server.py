"""The web process: `python -m serving.web.server --port 8080`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import IO, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from serving.exporter.collector import ServerCollector, Sources
from serving.runtime.instance import ROOT, Instance, Ports
from serving.web import documents, wsgi
from serving.web.wsgi import Application

HOST = "127.0.0.1"
# A client that sends nothing for so long loses its connection.
CLIENT_SECONDS = 10
MAX_REQUEST_LINE = 8192


class Server(ThreadingMixIn, WSGIServer):
    """HTTP server with a thread for each request, so that a slow scrape delays no document."""

    daemon_threads = True
    request_queue_size = 32


class Response(ServerHandler):
    """Response in HTTP/1.1. wsgiref would send HTTP/1.0, and HAProxy passes the version on to clients."""

    http_version = "1.1"

    def cleanup_headers(self) -> None:
        """Complete the headers: a connection carries one request, and says so."""
        super().cleanup_headers()
        self.headers["Connection"] = "close"  # type: ignore[attr-defined]  # wsgiref sets it, and its stubs omit it


class Handler(WSGIRequestHandler):
    """Request handler that logs nothing: the proxy logs the requests of clients."""

    timeout = CLIENT_SECONDS

    def handle(self) -> None:
        """Answer the one request of a connection."""
        try:
            self.raw_requestline = self.rfile.readline(MAX_REQUEST_LINE)
            complete = self.parse_request()
        except TimeoutError:
            return
        if complete:
            streams = (cast(IO[bytes], self.rfile), cast(IO[bytes], self.wfile), self.get_stderr())
            response = Response(*streams, self.get_environ(), multithread=True)
            response.request_handler = self  # type: ignore[attr-defined]
            assert isinstance(self.server, WSGIServer)
            response.run(self.server.get_app())  # type: ignore[arg-type]

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


def application(sources: Sources) -> Application:
    """Return the WSGI application: the metrics, in Prometheus or OpenMetrics text by Accept, and the documents.

    There are no documents without a proxy, because no client can reach them.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerCollector(sources))
    applications: dict[str, Application] = {"/metrics": make_wsgi_app(registry)}
    if sources.socket is not None:
        applications["/openapi.json"] = documents.application(documents.OPENAPI.read_bytes(), "application/json")
    return wsgi.mount(applications)


def serve(sources: Sources) -> WSGIServer:
    """Return a server that is bound and listens; call `serve_forever` to answer requests."""
    return make_server(HOST, sources.instance.ports.web, application(sources), Server, Handler)


def main(argv: list[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m serving.web.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the server's public port; this process uses port + 2")
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
        what = error.filename or f"port {instance.ports.web} on {HOST}"
        sys.exit(f"the web process cannot use {what}: {error.strerror}")
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()
