"""The worker's side of a shadow: it copies a share of its predictions to a process that listens on a Unix socket.

Answers never wait for it. Without a listener it costs one look for a file a second.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import zlib
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from handlers.modalities.image.cost import HeavyRequest
from handlers.protocols import Response
from handlers.request import RawRequest
from handlers.shadow.listener import Listener, find
from handlers.shadow.queue import SampleQueue
from handlers.shadow.sample import Sample

logger = logging.getLogger(__name__)

# Seconds between two looks for a listener.
LOOK_SECONDS = 1.0
# Samples of such a period are sent together. Waking the thread for each of them would delay the next answer.
SEND_SECONDS = 0.05
# Statuses that depend on the load, or mean that another worker answers.
_NOT_SAMPLED = (HeavyRequest.status, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class Sampler:
    """Sampler of the predictions of one worker. It samples only while a listener is connected.

    Args:
        folder: where a listener leaves the file that names it.
    """

    def __init__(self, folder: Path, model: str, version: str, queue: SampleQueue | None = None) -> None:
        self._folder, self._model, self._version = folder, model, version
        self._queue = queue or SampleQueue()
        # A request is sampled if the CRC-32 of its id is lower.
        self._below = 0

    def start(self) -> None:
        """Start the thread that looks for listeners and sends samples."""
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def offer(self, batch: Sequence[RawRequest], responses: Sequence[Response]) -> None:
        """Put a share of the predictions of a batch into the queue.

        Only requests of clients that came through the proxy are sampled.
        """
        if not self._below:
            return
        for raw, response in zip(batch, responses, strict=True):
            if (
                zlib.crc32(raw.request_id.encode()) < self._below
                and raw.counted_kind == "predict"
                and raw.queue_seconds is not None
                and not raw.is_copy
                and response.status not in _NOT_SAMPLED
                and (sample := Sample.of(raw, response)) is not None
            ):
                self._queue.offer(sample)

    def _run(self) -> None:
        while True:
            try:
                listener = find(self._folder, self._model, self._version)
                if listener is not None:
                    self._serve(listener)
            except OSError:  # nobody listens, or no longer
                pass
            except Exception:
                logger.exception("samples are lost")
            time.sleep(LOOK_SECONDS)

    def _serve(self, listener: Listener) -> None:
        """Send samples to a listener until its file is gone or changes.

        Raises:
            OSError: it does not accept the connection, or has ended.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LOOK_SECONDS)
            connection.connect(listener.socket)
            self._queue.dropped()  # earlier ones are of no interest to this listener
            self._below = round(listener.share * 2**32)
            try:
                self._send_while_wanted(connection, listener)
            finally:
                self._below = 0
                self._queue.clear()

    def _send_while_wanted(self, connection: socket.socket, listener: Listener) -> None:
        looked = time.monotonic()
        while True:
            if time.monotonic() - looked >= LOOK_SECONDS:
                if not self._is_wanted(listener):
                    return
                looked = time.monotonic()
            sample = self._queue.take()
            if sample is None:
                time.sleep(SEND_SECONDS)
                continue
            for piece in sample.frame(self._queue.dropped()):
                if not self._send(connection, piece, listener):
                    return

    def _send(self, connection: socket.socket, piece: bytes | bytearray, listener: Listener) -> bool:
        """Send bytes to a listener, however slow it is. Return False if it no longer wants them."""
        unsent = memoryview(piece)
        while unsent:
            try:
                unsent = unsent[connection.send(unsent) :]
            except TimeoutError:
                if not self._is_wanted(listener):
                    return False
        return True

    def _is_wanted(self, listener: Listener) -> bool:
        return find(self._folder, self._model, self._version) == listener
