"""A stand-in for the proxy's private socket: it answers copies as a test says, and remembers them."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType

HANDLER = {"X-Model-Version": "1.0", "X-Model-Engine": "eager"}


@dataclass
class Copy:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: dict(HANDLER))


class FakeProxy:
    """An HTTP server on a Unix socket. `reply` makes the response to a copy."""

    def __init__(self, path: Path, reply: Callable[[Copy], Reply]) -> None:
        self.copies: list[Copy] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                copy = Copy(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                fake.copies.append(copy)
                answer = reply(copy)
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *arguments: object) -> None:
                pass

            def address_string(self) -> str:
                return ""

        class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = UnixServer(str(path), Handler)

    def __enter__(self) -> FakeProxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
