from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.fuzz.connection import HUNG_UP, TOO_LATE, Answer, Line

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok"


@contextmanager
def served(*talks: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A server that has one talk with each connection, in this order, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for talk in talks:
                connection, _ = listener.accept()
                with connection:
                    talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(5)


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        for answer in answers:
            connection.recv(65_536)
            connection.sendall(answer)

    return talk


def asked(address: tuple[str, int], request: bytes = b"hello", patience: float = 5) -> Answer:
    line = Line(address, patience)
    answer = line.ask(request)
    line.close()
    return answer


def test_an_answer_has_status_headers_and_body() -> None:
    with served(answering(OK)) as address:
        answer = asked(address)
    assert (answer.status, answer.headers["x-a"], answer.body) == (200, "1", b"ok")


def test_a_connection_is_kept_and_one_that_was_closed_meanwhile_is_made_again() -> None:
    with served(answering(OK, OK), answering(OK)) as address:
        line = Line(address, 5)
        assert [line.ask(b"hello").status for _ in range(3)] == [200, 200, 200]
        line.close()


def test_a_connection_that_is_not_to_be_kept_serves_one_request() -> None:
    with served(answering(OK), answering(OK)) as address:
        line = Line(address, 5)
        assert [line.ask(b"hello", keep=False).status for _ in range(2)] == [200, 200]


def test_an_answer_before_the_request_is_through_is_read() -> None:
    def early(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(OK.replace(b"200", b"413"))

    with served(early) as address:
        assert asked(address, bytes(30_000_000)).status == 413


def test_no_answer_is_told_from_no_answer_yet() -> None:
    release = threading.Event()
    with served(lambda connection: None) as address:
        assert asked(address).status == HUNG_UP
    with served(lambda connection: bool(release.wait(5)) and None) as address:
        assert asked(address, patience=0.2).status == TOO_LATE
        release.set()


def test_rubbish_is_no_answer() -> None:
    with served(answering(b"rubbish\r\n\r\n")) as address:
        assert asked(address).status == HUNG_UP
