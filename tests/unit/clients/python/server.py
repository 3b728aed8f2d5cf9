"""A real HTTP server whose responses a test defines, and both clients with one interface."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from torchlight_client import AsyncClient, Client


@dataclass(frozen=True, slots=True)
class Say:
    """A response. `body` is encoded as JSON; bytes are sent unchanged."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection after this many bytes of a response."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """No response, until the server is closed."""


@dataclass(frozen=True, slots=True)
class Trickle:
    """A response without end that comes byte by byte, with `pause` seconds in between."""

    pause: float


Step = Say | HangUp | Silence | Trickle


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived. Header names are in lower case. `port` is the client's, to distinguish connections."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int


class Server:
    """HTTP server that answers requests with `steps`, in order. The last step is repeated."""

    def __init__(self, *steps: Step, port: int = 0) -> None:
        self.steps = list(steps)
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                outer._answer(self)

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True  # a thread may wait for the next request of a persistent connection
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self.seen.append(Seen(request.command, request.path, headers, body, request.client_address[1]))
            step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Say):
            self._say(request, step)
            return
        request.close_connection = True
        if isinstance(step, HangUp):
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"[: step.after_bytes])
        elif isinstance(step, Silence):
            self._closed.wait(20)
        else:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            try:
                while not self._closed.wait(step.pause):
                    request.wfile.write(b" ")
            except OSError:  # the client has gone, as it should
                pass

    def _say(self, request: BaseHTTPRequestHandler, say: Say) -> None:
        content = say.body if isinstance(say.body, bytes) else json.dumps(say.body).encode()
        request.send_response(say.status)
        for name, value in say.headers.items():
            request.send_header(name, value)
        if say.chunked:
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            for start in range(0, len(content), 7):
                piece = content[start : start + 7]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            request.wfile.write(b"0\r\n\r\n")
        else:
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)


class Awaited:
    """AsyncClient with the interface of Client: each call waits for the result, and all use one event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._runner = asyncio.Runner()
        try:
            self._client = AsyncClient(*args, **kwargs)
        except BaseException:
            self._runner.close()
            raise

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


CLIENTS: dict[str, Callable[..., Any]] = {"sync": Client, "async": Awaited}


def unused_port() -> int:
    """Return a port of this machine where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def elapsed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start
