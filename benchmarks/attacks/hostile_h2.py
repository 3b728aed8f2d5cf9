"""HTTP/2 requests that would mean something else after the proxy's conversion to HTTP/1.1 (RFC 9113, 8.2 and 8.3)."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import H2Error

from benchmarks.attacks.hostile import MARK

TIMEOUT_SECONDS = 5.0
INNER = f"POST /predictions/digits/1.0 HTTP/1.1\r\nX-Request-Id: {MARK}\r\nX-Ignore: ".encode()
_GOOD = ((":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/predictions/digits"))


def _changed(name: str, value: str, *extra: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*((key, value if key == name else original) for key, original in _GOOD), *extra)


# Fields of each request, by what is wrong with it. The body is INNER.
REQUESTS = {
    "a good one": _GOOD,
    "GET with a body": _changed(":method", "GET"),
    "GET /ping with a body": tuple(
        (key, "/ping" if key == ":path" else value) for key, value in _changed(":method", "GET")
    ),
    "a line end in the method": _changed(":method", "POST /models HTTP/1.1\r\n\r\nGET"),
    "a space in the method": _changed(":method", "GET /models"),
    "a line end in the path": _changed(":path", "/predictions/digits HTTP/1.1\r\nHost: y\r\n\r\nGET /models"),
    "a space in the path": _changed(":path", "/predictions/digits HTTP/1.1"),
    "no slash before the path": _changed(":path", "predictions/digits"),
    "an absolute path": _changed(":path", "http://torchserve/models"),
    "an empty path": _changed(":path", ""),
    "two paths": (*_GOOD, (":path", "/models")),
    "two methods": (*_GOOD, (":method", "GET")),
    "another scheme": _changed(":scheme", "http://torchserve/models?"),
    "a host that differs": (*_GOOD, ("host", "y")),
    "a line end in the authority": _changed(":authority", "x\r\nexplain: True"),
    "a length that is too small": (*_GOOD, ("content-length", "0")),
    "a length that is too large": (*_GOOD, ("content-length", "5000")),
    "two lengths": (*_GOOD, ("content-length", "5"), ("content-length", str(len(INNER)))),
    "Transfer-Encoding": (*_GOOD, ("transfer-encoding", "chunked")),
    "Connection": (*_GOOD, ("connection", "close, content-length")),
    "Upgrade": (*_GOOD, ("upgrade", "h2c")),
    "TE": (*_GOOD, ("te", "gzip")),
    "Expect": (*_GOOD, ("expect", "y")),
    "Expect twice": (*_GOOD, ("expect", "100-continue"), ("expect", "y")),
    "a line end in a value": (*_GOOD, ("x-top-k", "1\r\nTransfer-Encoding: chunked\r\n")),
    "a colon in a name": (*_GOOD, ("transfer-encoding:chunked\r\nx", "1")),
    "capitals in a name": (*_GOOD, ("Transfer-Encoding", "chunked")),
    "a pseudo field behind others": (*_GOOD[:3], ("x-top-k", "1"), _GOOD[3]),
    "an unknown pseudo field": (*_GOOD, (":protocol", "websocket")),
    "an empty name": (*_GOOD, ("", "x")),
}


@dataclass(slots=True)
class Response:
    """A response. Status 0: the stream or the connection was closed instead."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def send(port: int, fields: tuple[tuple[str, str], ...]) -> Response:
    """Send a request with INNER as its body, without any checks, over a new connection."""
    unchecked = H2Configuration(
        client_side=True,
        header_encoding="utf-8",
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    protocol, response = H2Connection(unchecked), Response()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        protocol.initiate_connection()
        protocol.send_headers(1, list(fields))
        protocol.send_data(1, INNER, end_stream=True)
        try:
            connection.sendall(protocol.data_to_send())
            while data := connection.recv(65_536):
                for event in protocol.receive_data(data):
                    if isinstance(event, ResponseReceived):
                        response.headers = {str(name): str(value) for name, value in event.headers}
                        response.status = int(response.headers[":status"])
                    elif isinstance(event, DataReceived):
                        response.body += event.data
                    elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                        return response
                connection.sendall(protocol.data_to_send())
        except (OSError, H2Error):
            return response
    return response
