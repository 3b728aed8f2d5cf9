"""Cost of the worker protocol around an empty handler: TorchServe's code, and handlers/torchserve_protocol.py.

Both are TorchServe's loop (ts/model_service_worker.py, handle_connection), over a socket in this process. What Java
does with the lines of its log comes on top.
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
ANSWER = b'{"predictions":[{"label":"3","index":3,"probability":0.999}]}' * 5
BUFFER_BYTES = 4_000_000


class Loop:
    """One worker's loop over one connection; `short` puts handlers/torchserve_protocol.py into it."""

    def __init__(self, *, short: bool) -> None:
        os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
        from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

        self._worker = SimpleNamespace(retrieve_msg=_fresh("ts.protocol.otf_message_handler").retrieve_msg)
        service = _fresh("ts.service")
        metrics = MetricsCacheYamlImpl(str(METRICS))
        metrics.initialize_cache()
        metrics.model_name = "benchmark"
        if short:
            torchserve_protocol.install(self._worker, service, metrics, os.environ, torchserve_protocol.VERSION)
        self._service = service.Service("benchmark", "", {}, _answer, None, 32, metrics_cache=metrics)
        self._here, self._there = socket.socketpair()
        for end in (self._here, self._there):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._service.set_cl_socket(self._here)

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *raised: object) -> None:
        self._here.close()
        self._there.close()

    def microseconds(self, requests: int, image: bytes, times: int) -> float:
        """CPU of this thread for each request of batches of so many."""
        message, total = _message(requests, image), 0.0
        for _ in range(times):
            self._there.sendall(message)
            began = time.thread_time()
            _, batch = self._worker.retrieve_msg(self._here)
            self._here.sendall(self._service.predict(batch))
            total += time.thread_time() - began
            while not self._there.recv(BUFFER_BYTES).endswith(b"\xff\xff\xff\xff"):
                pass
        return total / (requests * times) * 1e6


@contextmanager
def logging_nowhere() -> Iterator[None]:
    """Lines of the log are made meanwhile, as in a worker, and thrown away."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with Path(os.devnull).open("w") as nowhere:
        root.handlers = [logging.StreamHandler(nowhere)]
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.handlers = handlers
            root.setLevel(level)


def _fresh(name: str) -> ModuleType:
    """A copy of a module of its own, so that what is replaced in one is not replaced in the other."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed: `make setup`")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def _answer(data: list[Any], context: Any) -> list[bytes]:
    for place in range(len(data)):
        context.set_response_status(200, "OK", idx=place)
        for name in ("content-type", "X-Model-Version", "X-Model-Engine", "X-Request-Id"):
            context.set_response_header(place, name, "application/json")
    return [ANSWER] * len(data)


def _message(requests: int, image: bytes) -> bytes:
    """A batch as Java writes it (org.pytorch.serve.util.codec.ModelRequestEncoder)."""

    def text(content: bytes) -> bytes:
        return struct.pack("!i", len(content)) + content

    end = struct.pack("!i", -1)
    headers = b"".join(text(k.encode()) + text(v.encode()) for k, v in HEADERS.items() if isinstance(v, str))
    one = text(b"6c5a4b2e-6a3b-4f6e-9d0a-0c1d2e3f4a5b") + headers + end
    one += text(b"body") + text(b"application/octet-stream") + text(image) + end
    return b"I" + one * requests + end
