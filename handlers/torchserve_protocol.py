"""TorchServe's worker protocol, read and written in a few calls a batch instead of some fifty a request.

A batch comes over a socket as numbers and texts in a row, each text behind its length; what is sent back looks alike
(TorchServe 0.12.0, ts/protocol/otf_message_handler.py). TorchServe reads each of them from the socket by itself, and
writes two lines to its log for each batch, which Java takes apart only to throw them away. What stands here reads and
answers the same bytes, which a test compares with TorchServe's own functions.

`TORCHLIGHT_WIRE=stock` in the worker's environment leaves TorchServe's own, as does any other version of it.
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
# The one whose protocol and whose functions these are.
VERSION = "0.12.0"
PREDICT = b"I"
# Larger than a batch of small images; a larger one takes a few more calls.
RECEIVE_BYTES = 262_144
# TorchServe notes the milliseconds of each batch under this name. Java drops it, for deploy/torchserve/metrics.yaml
# does not declare it; handlers/metrics.py counts the same.
UNHEARD_METRIC = "PredictionTime"
# Lengths, counts and statuses are big-endian int32; instead of a length, -1 ends a list.
_INT = struct.Struct("!i")
_END = _INT.pack(-1)

Retrieve = Callable[[Any], tuple[bytes, Any]]
Respond = Callable[..., Any]


class Reader:
    """Messages from one connection, whatever pieces they come in. What came too much is kept for the next one.

    `stock`, TorchServe's retrieve_msg, reads those that are no batch, from here: `recv` is a socket's.
    """

    def __init__(self, connection: socket.socket, stock: Retrieve) -> None:
        self.connection = connection
        self._stock = stock
        self._data = b""
        self._at = 0

    def message(self) -> tuple[bytes, Any]:
        """Wait for a message -> its command, and for a batch its requests as TorchServe's worker has them.

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

    def recv(self, most: int) -> bytes:
        """At least one byte and at most `most`, as of a socket."""
        self._need(1)
        found = self._data[self._at : self._at + most]
        self._at += len(found)
        return found

    def _text(self) -> bytes | None:
        """The bytes behind a length; None where the list has ended."""
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
        """Receive until so many bytes lie at hand, from the place where reading goes on."""
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
    """What stands in for retrieve_msg: it keeps a Reader for the connection that it is called with."""
    reader: Reader | None = None

    def retrieve(connection: socket.socket) -> tuple[bytes, Any]:
        nonlocal reader
        if reader is None or reader.connection is not connection:
            reader = Reader(connection, stock)
        return reader.message()

    return retrieve


def requests(batch: Sequence[Mapping[str, Any]], processor: Callable[[dict[str, Any]], Any]) -> tuple[Any, Any, Any]:
    """What stands in for Service.retrieve_data_for_inference: a batch's headers, parts and ids, as TorchServe has them.

    But of parts that share a name none is lost: they become image, image#2, ... TorchServe puts the parts into a dict
    by name, so of `-F image=@a.png -F image=@b.png` it would keep only the last, without a word.

    Args:
        processor: TorchServe's RequestProcessor, which holds the headers of a request and of its answer.
    """
    processors, inputs = [], []
    for request in batch:
        parts: dict[str, Any] = {}
        headers: dict[str, Any] = {}
        parameters = request["parameters"]
        for name, parameter in zip(_apart([one["name"] for one in parameters]), parameters, strict=True):
            parts[name] = parameter["value"]
            headers[name] = {"content-type": parameter["contentType"]}
        for header in request.get("headers") or ():
            headers[header["name"].decode()] = header["value"].decode()
        processors.append(processor(headers))
        inputs.append(parts)
    return processors, inputs, {place: request["requestId"].decode() for place, request in enumerate(batch)}


def _apart(names: list[str]) -> list[str]:
    """The names, with a number behind those that were there before; none is one that another part has by itself."""
    if len(set(names)) == len(names):
        return names
    taken, found, seen = set(names), [], dict.fromkeys(names, 0)
    for name in names:
        seen[name] += 1
        if seen[name] == 1:
            found.append(name)
            continue
        while (numbered := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        found.append(numbered)
    return found


def answering(stock: Respond) -> Respond:
    """What stands in for create_predict_response where a batch was answered; `stock` says of others why not."""

    def respond(bodies: Any, ids: Mapping[int, str], message: str, code: int, context: Any = None) -> Any:
        if bodies is None or context is None:
            return stock(bodies, ids, message, code, context)
        pieces = [_INT.pack(code), _text(message)]
        for place, request_id in ids.items():
            headers = context.get_response_headers(place)
            status, phrase = context.get_response_status(place)
            pieces += (_text(request_id), _text(headers.get("content-type", "")), _INT.pack(status))
            pieces += (_text(phrase or ""), _INT.pack(len(headers)))
            for name, value in headers.items():
                pieces += (_text(name), _text(value))
            body = bodies[place]
            pieces += (_INT.pack(len(body)), body)
        pieces.append(_END)
        return b"".join(pieces)

    return respond


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _INT.pack(len(encoded)) + encoded


def unheard(note: Callable[..., None]) -> Callable[..., None]:
    """What stands in for a metrics cache's add_time: all is noted but what nobody hears of."""

    def add_time(name: str, *arguments: Any, **named: Any) -> None:
        if name != UNHEARD_METRIC:
            note(name, *arguments, **named)

    return add_time


def install(worker: Any, service: Any, metrics: Any, environment: Mapping[str, str], version: str) -> str | None:
    """Put these functions in the place of TorchServe's, once; returns why they were left out, or None.

    A handler is loaded in the middle of the worker's loop (handle_connection in ts/model_service_worker.py), which has
    bound its functions by name. So what stands under those names is replaced: the loop looks up `retrieve_msg` in its
    own module, `__main__`, each time, and Service looks up the others in ts/service.py. TorchServe asks the socket for
    each text by itself, so nothing has been read beyond the message that loads the handler.

    Args:
        worker: the module that the worker's loop is in. Without a loop of that kind, as in a test, there is nothing to
            do.
        service: the module ts.service.
        metrics: the worker's cache of metrics.
    """
    service.Service.retrieve_data_for_inference = staticmethod(partial(requests, processor=service.RequestProcessor))
    if (reason := _refusal(environment, version)) is not None:
        logger.info("TorchServe's own way of reading and answering stays: %s", reason)
        return reason
    if hasattr(worker, "retrieve_msg"):
        worker.retrieve_msg = reading(worker.retrieve_msg)
        service.create_predict_response = answering(service.create_predict_response)
        metrics.add_time = unheard(metrics.add_time)
    return None


def _refusal(environment: Mapping[str, str], version: str) -> str | None:
    """Why TorchServe's own functions have to stay; None where they need not."""
    if environment.get(SWITCH) == "stock":
        return f"{SWITCH} is stock"
    if version != VERSION:
        return f"this is TorchServe {version}, and ours were written for {VERSION}"
    if environment.get("TS_DECODE_INPUT_REQUEST", "true") == "true":
        return "TorchServe is to decode JSON and text itself (decode_input_request=true)"
    return None
