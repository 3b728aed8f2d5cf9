from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.fuzz.connection import CONNECTION_CLOSED, TIMED_OUT, RawConnection, RawResponse

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok"


@contextmanager
def serving(*conversations: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A server that holds one conversation with each connection, in this order, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for converse in conversations:
                connection, _ = listener.accept()
                with connection:
                    converse(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(5)


def responding(*responses: bytes) -> Callable[[socket.socket], None]:
    def converse(connection: socket.socket) -> None:
        for response in responses:
            connection.recv(65_536)
            connection.sendall(response)

    return converse


def send_once(address: tuple[str, int], request: bytes = b"hello", timeout: float = 5) -> RawResponse:
    connection = RawConnection(address, timeout)
    response = connection.send(request)
    connection.close()
    return response


def test_response_has_status_headers_and_body() -> None:
    with serving(responding(OK)) as address:
        response = send_once(address)
    assert (response.status, response.headers["x-a"], response.body) == (200, "1", b"ok")


def test_connection_is_kept_and_opened_again_after_the_server_closed_it() -> None:
    with serving(responding(OK, OK), responding(OK)) as address:
        connection = RawConnection(address, 5)
        assert [connection.send(b"hello").status for _ in range(3)] == [200, 200, 200]
        connection.close()


def test_connection_without_keep_serves_one_request() -> None:
    with serving(responding(OK), responding(OK)) as address:
        connection = RawConnection(address, 5)
        assert [connection.send(b"hello", keep=False).status for _ in range(2)] == [200, 200]


def test_response_before_the_end_of_the_request_is_read() -> None:
    def respond_early(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(OK.replace(b"200", b"413"))

    with serving(respond_early) as address:
        assert send_once(address, bytes(30_000_000)).status == 413


def test_closed_connection_and_timeout_have_different_statuses() -> None:
    release = threading.Event()
    with serving(lambda connection: None) as address:
        assert send_once(address).status == CONNECTION_CLOSED
    with serving(lambda connection: bool(release.wait(5)) and None) as address:
        assert send_once(address, timeout=0.2).status == TIMED_OUT
        release.set()


def test_malformed_response_counts_as_a_closed_connection() -> None:
    with serving(responding(b"rubbish\r\n\r\n")) as address:
        assert send_once(address).status == CONNECTION_CLOSED
