"""HTTP/1.1 client of the proxy: keep-alive connections, deadlines, and cancellation that closes the connection.

h11, the parser inside httpx, reads and writes the protocol. httpx itself would cost 1 ms a request and 17 MB here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import h11

from serving.errors import ConfigError

# Longer than the proxy gives the model server (`timeout server`), so that its own 504 comes first.
PATIENCE_SECONDS = 200.0
# Shorter than the proxy keeps an idle connection (`timeout http-keep-alive`): none is used while it closes.
IDLE_SECONDS = 20.0


class Unanswered(Exception):
    """No response: refused, reset, closed too early or not HTTP. The caller completes the sentence of the message."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete HTTP response; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ProxyClient:
    """The proxy at one URL."""

    def __init__(self, url: str, patience: float = PATIENCE_SECONDS) -> None:
        """Make a client, without a connection yet.

        Raises:
            ConfigError: the URL is not like http://127.0.0.1:8080.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or not port or parts.scheme != "http" or parts.path.strip("/") or parts.query:
            raise ConfigError(f"the proxy's URL is {url!r}: give a host and a port, as in http://127.0.0.1:8080")
        self._host, self._port = host, port
        self.url = f"http://{parts.netloc}"
        self._authority = parts.netloc
        self._patience = patience
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Sequence[bytes] = (),
        within: float | None = None,
    ) -> HttpResponse:
        """Send one request and return its response, whatever its status. Canceling this closes the connection.

        Args:
            body: its parts, in order; sent without joining them.
            within: time limit in seconds; at most `patience`.

        Raises:
            Unanswered: there was no response.
            TimeoutError: there was none in time.
        """
        sent = {"Host": self._authority, **headers}
        if method != "GET":
            sent["Content-Length"] = str(sum(len(part) for part in body))
        head = h11.Request(method=method, target=path, headers=list(sent.items()))
        async with asyncio.timeout(self._patience if within is None else min(within, self._patience)):
            while True:
                connection = await self._connection()
                try:
                    return await connection.send(head, body)
                except Unanswered:
                    # The proxy closed an idle connection just as it was used again. Every request here may be sent
                    # twice, and a new connection ends this loop.
                    if connection.heard or not connection.reused:
                        raise
                finally:
                    if connection.start_next():
                        self._idle.append(connection)
                    else:
                        connection.close()

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        """Return the connection that was idle for the shortest time, or a new one."""
        while self._idle:
            idle = self._idle.pop()
            if idle.usable(IDLE_SECONDS):
                return idle
            idle.close()
        try:
            _, fresh = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        except OSError as error:
            raise Unanswered(f"nothing listens at {self.url} ({error.strerror or error})") from None
        return fresh


class _Connection(asyncio.Protocol):
    """One connection. Reads while it writes: the proxy may answer, and close, before it has taken the whole body."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[HttpResponse] | None = None
        self._head: h11.Response | None = None
        self._body: list[bytes] = []
        self._idle_since = 0.0
        self.reused = False
        """True if it has served a request before this one."""
        self.heard = False
        """True if any part of the response to this request has come."""

    async def send(self, head: h11.Request, body: Sequence[bytes]) -> HttpResponse:
        assert self._transport is not None
        if self._transport.is_closing():
            raise Unanswered("the proxy closed the connection as soon as it was made")
        self._head, self._body, self.heard = None, [], False
        self._waiting = asyncio.get_running_loop().create_future()
        self._write(head)
        for part in body:
            if part:
                self._write(h11.Data(data=part))
        self._write(h11.EndOfMessage())
        return await self._waiting

    def usable(self, idle_seconds: float) -> bool:
        """Return True if the proxy still keeps the connection open, as far as this side knows."""
        assert self._transport is not None
        fresh = time.monotonic() - self._idle_since < idle_seconds
        silent = self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE
        return fresh and silent and not self._transport.is_closing()

    def start_next(self) -> bool:
        """Prepare the connection for another request; return False if it must be closed."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not done or self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size():  # answered before the end of the body: do not send the remainder
            return False
        self._http.start_next_cycle()
        self.reused = True
        self._idle_since = time.monotonic()
        return True

    def close(self) -> None:
        """Close at once, and discard data that is not written yet."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        self._http.receive_data(data)
        try:
            self._read()
        except h11.RemoteProtocolError as error:
            self._fail(f"the proxy's response cannot be read as HTTP ({error})")

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is None or self._waiting.done():
            return
        self._http.receive_data(b"")  # ends a response of unknown length
        with contextlib.suppress(h11.RemoteProtocolError):  # the message below is better
            self._read()
        if not self._waiting.done():
            self._fail(f"the proxy closed the connection before it had answered ({error or 'end of file'})")

    def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        assert self._transport is not None
        for piece in self._http.send_with_data_passthrough(event) or ():
            self._transport.write(piece)

    def _read(self) -> None:
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            match event:
                case h11.Response():
                    self._head = event
                case h11.Data():
                    self._body.append(bytes(event.data))
                case h11.EndOfMessage():
                    self._answer()
                case h11.ConnectionClosed() | h11.PAUSED:
                    break

    def _answer(self) -> None:
        assert self._head is not None
        if self._waiting is not None and not self._waiting.done():
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.headers}
            self._waiting.set_result(HttpResponse(self._head.status_code, headers, b"".join(self._body)))

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Unanswered(why))
