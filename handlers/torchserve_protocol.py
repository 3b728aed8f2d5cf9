"""TorchServe's worker protocol, read and written in a few calls a batch instead of some fifty a request.

A batch comes over a socket as a row of numbers and texts, each text after its length. The response has the same form
(TorchServe 0.12.0, ts/protocol/otf_message_handler.py). TorchServe reads each value from the socket separately. For
each batch it also logs two lines, which Java parses and drops. This module reads and writes the same bytes; a test
compares them with TorchServe's own functions.

`TORCHLIGHT_WIRE=stock` in the worker's environment keeps TorchServe's functions, and so does any other version of it.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

SWITCH = "TORCHLIGHT_WIRE"
# The version of TorchServe whose functions are replaced.
VERSION = "0.12.0"
PREDICT = b"I"
# Larger than a batch of small images; a larger one takes a few more calls.
RECEIVE_BYTES = 262_144
# TorchServe logs the milliseconds of each batch under this name. Java drops it, because
# deploy/torchserve/metrics.yaml does not declare it; handlers/metrics.py counts the same.
DROPPED_METRIC = "PredictionTime"
# Lengths, counts and statuses are big-endian int32; instead of a length, -1 ends a list.
_INT = struct.Struct("!i")
_END = _INT.pack(-1)

Retrieve = Callable[[Any], tuple[bytes, Any]]
Respond = Callable[..., Any]


class Reader:
    """Reader of messages from one connection, in whatever pieces they arrive.

    `stock`, TorchServe's retrieve_msg, reads messages other than batches; for it this class has a socket's `recv`.
    """

    def __init__(self, connection: socket.socket, stock: Retrieve) -> None:
        self.connection = connection
        self._stock = stock
        self._data = b""
        self._at = 0

    def message(self) -> tuple[bytes, Any]:
        """Wait for a message; return its command, and for a batch its requests as TorchServe's worker expects them.

        Raises:
            SystemExit: TorchServe has hung up.
        """
        self._need(1)
        if self._data[self._at : self._at + 1] != PREDICT:
            return self._stock(self)
        self._at += 1
        requests = []
        while (request_id := self._text()) is not None:
            headers, parameters = [], []
            while (name := self._text()) is not None:
                headers.append({"name": name, "value": self._text() or b""})
            while (name := self._text()) is not None:
                kind = (self._text() or b"").decode()
                parameters.append({"name": name.decode(), "contentType": kind, "value": self._text() or b""})
            requests.append({"requestId": request_id, "headers": headers, "parameters": parameters})
        return PREDICT, requests

    def recv(self, size: int) -> bytes:
        """Return at least one byte and at most `size`, as a socket does."""
        self._need(1)
        received = self._data[self._at : self._at + size]
        self._at += len(received)
        return received

    def _text(self) -> bytes | None:
        """Return the bytes after a length; None at the end of the list."""
        start = self._at + 4
        if start > len(self._data):
            self._need(4)
            start = 4
        (length,) = _INT.unpack_from(self._data, start - 4)
        self._at = start
        if length < 0:
            return None
        end = start + length
        if end > len(self._data):
            self._need(length)
            start, end = 0, length
        self._at = end
        return self._data[start:end]

    def _need(self, count: int) -> None:
        """Receive until `count` unread bytes are available."""
        missing = count - (len(self._data) - self._at)
        if missing <= 0:
            return
        pieces = [self._data[self._at :]]
        while missing > 0:
            piece = self.connection.recv(max(missing, RECEIVE_BYTES))
            if not piece:
                logger.info("Frontend disconnected.")
                raise SystemExit(0)
            pieces.append(piece)
            missing -= len(piece)
        self._data, self._at = b"".join(pieces), 0


def reading(stock: Retrieve) -> Retrieve:
    """Return a replacement of retrieve_msg, which keeps a Reader for its connection."""
    reader: Reader | None = None

    def retrieve(connection: socket.socket) -> tuple[bytes, Any]:
        nonlocal reader
        if reader is None or reader.connection is not connection:
            reader = Reader(connection, stock)
        return reader.message()

    return retrieve


def requests(batch: Sequence[Mapping[str, Any]], processor: Callable[[dict[str, Any]], Any]) -> tuple[Any, Any, Any]:
    """Replace Service.retrieve_data_for_inference: return a batch's headers, parts and ids, as TorchServe does.

    Parts that share a name are all kept: they become image, image#2, ... TorchServe puts the parts into a dict by name.
    With `-F image=@a.png -F image=@b.png` it would silently keep only the last.

    Args:
        processor: TorchServe's RequestProcessor, which holds the headers of a request and of its answer.
    """
    processors, inputs = [], []
    for request in batch:
        parts: dict[str, Any] = {}
        headers: dict[str, Any] = {}
        parameters = request["parameters"]
        for name, parameter in zip(_numbered([parameter["name"] for parameter in parameters]), parameters, strict=True):
            parts[name] = parameter["value"]
            headers[name] = {"content-type": parameter["contentType"]}
        for header in request.get("headers") or ():
            headers[header["name"].decode()] = header["value"].decode()
        processors.append(processor(headers))
        inputs.append(parts)
    return processors, inputs, {index: request["requestId"].decode() for index, request in enumerate(batch)}


def _numbered(names: list[str]) -> list[str]:
    """Append a number to each repeated name, such that no result equals another part's own name."""
    if len(set(names)) == len(names):
        return names
    own_names, unique, seen = set(names), [], dict.fromkeys(names, 0)
    for name in names:
        seen[name] += 1
        if seen[name] == 1:
            unique.append(name)
            continue
        while (numbered := f"{name}#{seen[name]}") in own_names:
            seen[name] += 1
        unique.append(numbered)
    return unique


def answering(stock: Respond) -> Respond:
    """Return a replacement of create_predict_response for answered batches; `stock` writes failures."""

    def respond(bodies: Any, ids: Mapping[int, str], message: str, code: int, context: Any = None) -> Any:
        if bodies is None or context is None:
            return stock(bodies, ids, message, code, context)
        pieces = [_INT.pack(code), _text(message)]
        for index, request_id in ids.items():
            headers = context.get_response_headers(index)
            status, phrase = context.get_response_status(index)
            pieces += (_text(request_id), _text(headers.get("content-type", "")), _INT.pack(status))
            pieces += (_text(phrase or ""), _INT.pack(len(headers)))
            for name, value in headers.items():
                pieces += (_text(name), _text(value))
            body = bodies[index]
            pieces += (_INT.pack(len(body)), body)
        pieces.append(_END)
        return b"".join(pieces)

    return respond


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _INT.pack(len(encoded)) + encoded


def without_dropped(add: Callable[..., None]) -> Callable[..., None]:
    """Return a replacement of a metrics cache's add_time that leaves out DROPPED_METRIC."""

    def add_time(name: str, *arguments: Any, **named: Any) -> None:
        if name != DROPPED_METRIC:
            add(name, *arguments, **named)

    return add_time


def install(worker: Any, service: Any, metrics: Any, environment: Mapping[str, str], version: str) -> str | None:
    """Replace TorchServe's functions by these, once; return why they were not replaced, or None.

    A handler is loaded in the middle of the worker's loop (handle_connection in ts/model_service_worker.py). The loop
    looks up its functions by name: `retrieve_msg` in its own module, `__main__`, and the others in ts/service.py. So
    this function replaces these names. TorchServe reads each text from the socket separately. So it has not read beyond
    the message that loads the handler.

    Args:
        worker: the module of the worker's loop. A module without such a loop, as in tests, stays unchanged.
        service: the module ts.service.
        metrics: the worker's cache of metrics.
    """
    service.Service.retrieve_data_for_inference = staticmethod(partial(requests, processor=service.RequestProcessor))
    if (reason := _refusal(environment, version)) is not None:
        logger.info("TorchServe's own protocol functions are used: %s", reason)
        return reason
    if hasattr(worker, "retrieve_msg"):
        worker.retrieve_msg = reading(worker.retrieve_msg)
        service.create_predict_response = answering(service.create_predict_response)
        metrics.add_time = without_dropped(metrics.add_time)
    return None


def _refusal(environment: Mapping[str, str], version: str) -> str | None:
    """Return why TorchServe's own functions must stay; None if they need not."""
    if environment.get(SWITCH) == "stock":
        return f"{SWITCH} is stock"
    if version != VERSION:
        return f"this is TorchServe {version}, and ours were written for {VERSION}"
    if environment.get("TS_DECODE_INPUT_REQUEST", "true") == "true":
        return "TorchServe is to decode JSON and text itself (decode_input_request=true)"
    return None
