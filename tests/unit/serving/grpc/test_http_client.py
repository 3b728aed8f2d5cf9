"""The HTTP side against a proxy that behaves badly: what it writes, when it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serving.grpc import http_client as module
from serving.grpc.http_client import HttpResponse, ProxyClient, Unanswered

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: abc\r\n\r\nok"


def with_peer(peer: Peer, use: Callable[[ProxyClient], Awaitable[None]], patience: float = 10.0) -> int:
    """Run `use` against a proxy whose connections `peer` handles; the number of connections it saw."""

    async def run_client() -> int:
        count = 0

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            try:
                await peer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        proxy = ProxyClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", patience)
        try:
            await use(proxy)
        finally:
            proxy.close()
            server.close()
            await asyncio.sleep(0.05)
        return count

    return asyncio.run(run_client())


def saying(answer: bytes, times: int = 1) -> Peer:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return peer


async def get(proxy: ProxyClient) -> HttpResponse:
    return await proxy.request("GET", "/", {})


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-request-id: abc\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Request-Id: abc\r\n\r\nok",  # ends where the connection does
    ],
)
def test_an_answer_of_any_length_is_read(answer: bytes) -> None:
    async def use(proxy: ProxyClient) -> None:
        assert await get(proxy) == HttpResponse(200, (await get(proxy)).headers, b"ok")
        assert (await get(proxy)).headers["x-request-id"] == "abc"

    with_peer(saying(answer), use)


def test_a_connection_is_used_again_until_the_proxy_closes_it() -> None:
    async def use(proxy: ProxyClient) -> None:
        for _ in range(4):
            assert (await get(proxy)).body == b"ok"
            await asyncio.sleep(0.02)

    assert with_peer(saying(OK, 2), use) == 2


def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)

    async def use(proxy: ProxyClient) -> None:
        for _ in range(3):
            await get(proxy)

    assert with_peer(saying(OK, 3), use) == 3


def test_a_connection_that_must_close_is_not_used() -> None:
    async def use(proxy: ProxyClient) -> None:
        for _ in range(2):
            await get(proxy)

    assert with_peer(saying(OK.replace(b"X-Request-Id: abc", b"Connection: close"), 2), use) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", r"proxy closed the connection before it had answered \(end of file\)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", r"cannot be read as HTTP|before it had answered"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", r"cannot be read as HTTP"),
    ],
)
def test_invalid_http_response_raises_unanswered(answer: bytes, message: str) -> None:
    async def use(proxy: ProxyClient) -> None:
        with pytest.raises(Unanswered, match=message):
            await get(proxy)

    with_peer(saying(answer), use)


def test_an_answer_that_comes_before_the_body_was_read_counts() -> None:
    """Answer and read no further, as a proxy refuses a large body."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)

    async def use(proxy: ProxyClient) -> None:
        for _ in range(2):
            answer = await proxy.request("POST", "/", {}, [bytes(30_000_000)])
            assert answer.status == 413

    assert with_peer(peer, use) == 2


def test_patience_ends_and_leaves_no_connection_behind() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1000)
        assert await reader.read() == b""  # it was closed

    async def use(proxy: ProxyClient) -> None:
        for seconds in (None, 0.01):
            with pytest.raises(TimeoutError):
                await proxy.request("GET", "/", {}, within=seconds)

    assert with_peer(peer, use, patience=0.1) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://[::1]:8080"])
def test_an_address_may_be_of_either_family(url: str) -> None:
    assert ProxyClient(url).url == url.rstrip("/")


def test_a_kept_connection_that_closes_as_it_is_used_is_replaced_once() -> None:
    answered = 0

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        await reader.readuntil(b"\r\n\r\n")
        if answered < 2:
            writer.write(OK)
            answered += 1
            await reader.readuntil(b"\r\n\r\n")  # and leaves without a word

    async def use(proxy: ProxyClient) -> None:
        assert (await get(proxy)).body == b"ok"
        assert (await get(proxy)).body == b"ok"
        with pytest.raises(Unanswered):
            await get(proxy)

    assert with_peer(peer, use) == 3
