"""Cost of the worker protocol with an empty handler: TorchServe's code, and handlers/torchserve_protocol.py.

Both run TorchServe's loop (ts/model_service_worker.py, handle_connection) over a socket in this process. The time that
Java spends on the lines of the worker's log is not included.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from benchmarks.worker.handler_process import HEADERS
from handlers import torchserve_protocol

METRICS = Path(__file__).resolve().parents[2] / "deploy" / "torchserve" / "metrics.yaml"
RESPONSE = b'{"predictions":[{"label":"3","index":3,"probability":0.999}]}' * 5
BUFFER_BYTES = 4_000_000


class Loop:
    """The loop of a worker over one connection. `torchlight` installs handlers/torchserve_protocol.py in it."""

    def __init__(self, *, torchlight: bool) -> None:
        os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
        from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

        self._worker = SimpleNamespace(retrieve_msg=_fresh("ts.protocol.otf_message_handler").retrieve_msg)
        service = _fresh("ts.service")
        metrics = MetricsCacheYamlImpl(str(METRICS))
        metrics.initialize_cache()
        metrics.model_name = "benchmark"
        if torchlight:
            torchserve_protocol.install(self._worker, service, metrics, os.environ, torchserve_protocol.VERSION)
        self._service = service.Service("benchmark", "", {}, _respond, None, 32, metrics_cache=metrics)
        self._here, self._there = socket.socketpair()
        for end in (self._here, self._there):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._service.set_cl_socket(self._here)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *raised: object) -> None:
        self._here.close()
        self._there.close()

    def microseconds(self, requests: int, image: bytes, batches: int) -> float:
        """Return CPU microseconds per request.

        Args:
            requests: batch size.
            image: body of each request.
            batches: number of batches.
        """
        message, total = _message(requests, image), 0.0
        for _ in range(batches):
            self._there.sendall(message)
            start = time.thread_time()
            _, batch = self._worker.retrieve_msg(self._here)
            self._here.sendall(self._service.predict(batch))
            total += time.thread_time() - start
            while not self._there.recv(BUFFER_BYTES).endswith(b"\xff\xff\xff\xff"):
                pass
        return total / (requests * batches) * 1e6


@contextmanager
def discarded_logs() -> Iterator[None]:
    """Format log lines within the context, as a worker does, and discard them."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with Path(os.devnull).open("w") as devnull:
        root.handlers = [logging.StreamHandler(devnull)]
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.handlers = handlers
            root.setLevel(level)


def _fresh(name: str) -> ModuleType:
    """Return a new copy of a module, so that a replaced function in one copy does not affect another."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed; run `make setup`")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def _respond(data: list[Any], context: Any) -> list[bytes]:
    for index in range(len(data)):
        context.set_response_status(200, "OK", idx=index)
        for name in ("content-type", "X-Model-Version", "X-Model-Engine", "X-Request-Id"):
            context.set_response_header(index, name, "application/json")
    return [RESPONSE] * len(data)


def _message(requests: int, image: bytes) -> bytes:
    """Return a batch as Java encodes it (org.pytorch.serve.util.codec.ModelRequestEncoder)."""

    def text(content: bytes) -> bytes:
        return struct.pack("!i", len(content)) + content

    end = struct.pack("!i", -1)
    headers = b"".join(text(k.encode()) + text(v.encode()) for k, v in HEADERS.items() if isinstance(v, str))
    request = text(b"6c5a4b2e-6a3b-4f6e-9d0a-0c1d2e3f4a5b") + headers + end
    request += text(b"body") + text(b"application/octet-stream") + text(image) + end
    return b"I" + request * requests + end
