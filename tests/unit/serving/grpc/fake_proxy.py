"""A proxy whose responses a test defines, and which records its requests."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class ReceivedRequest:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]

    @property
    def header_length(self) -> int:
        return int(self.headers["inference-header-content-length"])

    @property
    def json(self) -> Any:
        return json.loads(self.body[: self.header_length])

    @property
    def binary(self) -> bytes:
        return self.body[self.header_length :]


@dataclass(frozen=True)
class FakeResponse:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def error(status: int, kind: str, message: str = "what to do", **headers: str) -> FakeResponse:
    body = {"code": status, "type": kind, "message": message, "error": message}
    return FakeResponse(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def tensors(header: dict[str, Any], *contents: bytes, **headers: str) -> FakeResponse:
    """An answer with the binary tensor data extension."""
    text = json.dumps(header).encode()
    sent = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text)), **headers}
    return FakeResponse(200, text + b"".join(contents), sent)


LABEL = b"\x01\x00\x00\x003\x01\x00\x00\x008"
PROBABILITY = b"\x00\x00\x40\x3f\x00\x00\x80\x3e"  # 0.75, 0.25


def prediction(**headers: str) -> FakeResponse:
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": len(LABEL)}},
        {"name": "probability", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
    ]
    header = {"model_name": "digits", "model_version": "1.0", "id": "seven", "outputs": outputs}
    return tensors(header, LABEL, PROBABILITY, **headers)


class FakeProxy:
    """Answers each request by `answer`, which a test may replace."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[ReceivedRequest] = []
        self.connections: list[socket.socket] = []
        self.answer: Callable[[ReceivedRequest], FakeResponse] = lambda request: prediction()
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.left = threading.Event()
        self._server = _server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> ReceivedRequest:
        return self.requests[-1]

    def wait(self, request: ReceivedRequest) -> FakeResponse:
        """An `answer` that comes when the test sets `release`; sets `left` where the client goes before that."""
        self.entered.release()
        (mine,) = (
            connection
            for connection in self.connections
            if connection.fileno() > 0 and connection.getpeername() == request.connection
        )
        while not self.release.wait(0.01):
            if select.select([mine], [], [], 0)[0]:  # nothing more to read but its end
                self.left.set()
                raise ConnectionError("the client left")
        return prediction()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):  # closed before
                connection.shutdown(socket.SHUT_RDWR)


def _server(proxy: FakeProxy, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that was canceled
                super().handle()

        def do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            request = ReceivedRequest(self.command, self.path, headers, body, self.client_address)
            proxy.requests.append(request)
            response = proxy.answer(request)
            self.send_response(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            proxy.connections.append(connection)
            return connection, address

    return Server(("127.0.0.1", port), Handler)
