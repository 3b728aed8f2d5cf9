"""Samples that workers send: predictions with their answers, over a Unix socket.

handlers/shadow/ has the workers' side. A worker waits with its next sample until this side reads, and drops samples if
its queue is full. So this side needs no queue.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HEAD = struct.Struct("!III")
# Larger than any body that the proxy accepts, or any answer.
MAX_PIECE_BYTES = 256 << 20
# Time limit for the rest of a sample that has begun.
FRAME_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A prediction and its answer.

    Attributes:
        headers: of the request, with names in lower case.
        answer_headers: of the answer, with names in lower case.
        dropped: samples that this worker dropped before this one, since the one before.
    """

    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes
    dropped: int = 0


class SampleServer:
    """Server of a Unix socket to which workers connect.

    Args:
        path: of the socket. A socket that a killed process left there is replaced.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)

    def next(self, timeout: float) -> Sample | None:
        """Return the next sample of any worker; None if none arrives within `timeout` seconds.

        A worker whose sample is cut short or damaged is disconnected.
        """
        for key, _ in self._selector.select(timeout):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            if connection is self._listening:
                worker, _ = self._listening.accept()
                worker.settimeout(FRAME_SECONDS)
                self._selector.register(worker, selectors.EVENT_READ)
                continue
            try:
                return _receive(connection)
            except (OSError, ValueError, KeyError, TypeError):
                self._selector.unregister(connection)
                connection.close()
        return None

    def close(self) -> None:
        """Disconnect all workers, and remove the socket."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
        self._path.unlink(missing_ok=True)


def _receive(connection: socket.socket) -> Sample:
    """Receive a sample.

    Raises:
        OSError: the worker has hung up, or takes longer than FRAME_SECONDS.
        ValueError, KeyError, TypeError: it sends something else.
    """
    sizes = HEAD.unpack(_exactly(connection, HEAD.size))
    if max(sizes) > MAX_PIECE_BYTES:
        raise ValueError(f"a sample has a piece of {max(sizes)} bytes")
    encoded, body, answer = (_exactly(connection, size) for size in sizes)
    document = json.loads(encoded)
    return Sample(
        headers={str(name): str(value) for name, value in document["headers"].items()},
        body=bytes(body),
        status=int(document["status"]),
        answer_headers={str(name).lower(): str(value) for name, value in document["answer_headers"].items()},
        answer=bytes(answer),
        dropped=int(document["dropped"]),
    )


def _exactly(connection: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    rest = memoryview(buffer)
    while rest:
        count = connection.recv_into(rest)
        if count == 0:
            raise ConnectionError("the worker has hung up")
        rest = rest[count:]
    return buffer
