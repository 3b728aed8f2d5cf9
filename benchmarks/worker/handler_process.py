"""A handler in this process that answers batches when it is told to, and says what they cost.

Run by its path, with the tree whose handler it is on PYTHONPATH, which may be of another revision; so it uses nothing
of the project but the handler. It reads lines `<requests in a batch> <batches>`, and answers each with a line of JSON.

Usage: python -P benchmarks/worker/handler_process.py <release folder> <image>...
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# What the proxy sends with a request, and what TorchServe makes of its body.
HEADERS = {
    "host": "127.0.0.1:8080",
    "user-agent": "curl/8.14.1",
    "accept": "*/*",
    "content-type": "application/octet-stream",
    "content-length": "300",
    "x-torchlight-start": "1790000000000000",
    "x-request-id": "6c5a4b2e-6a3b-4f6e-9d0a-0c1d2e3f4a5b",
    "body": {"content-type": "application/octet-stream"},
}


class Context:
    """What the handler uses of TorchServe's context."""

    def __init__(self, folder: str = "", requests: int = 0) -> None:
        self.model_name = "benchmark"
        self.model_yaml_config: dict[str, Any] = {}
        self.system_properties = {"model_dir": folder, "gpu_id": None, "batch_size": 32}
        self.metrics = SimpleNamespace(
            get_metric=lambda *names: SimpleNamespace(add_or_update=lambda *values: None),
            add_time=lambda *values: None,
        )
        self.headers = [dict(HEADERS) for _ in range(requests)]
        self.answers: list[dict[str, Any]] = [{} for _ in range(requests)]

    def get_request_id(self, place: int) -> str:
        """TorchServe's own id."""
        return f"server-{place}"

    def get_all_request_header(self, place: int) -> dict[str, Any]:
        """Of one request."""
        return self.headers[place]

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        """Of one answer."""
        self.answers[idx]["status"] = code

    def set_response_header(self, place: int, name: str, value: str) -> None:
        """Of one answer."""
        self.answers[place][name] = value


class Step:
    """CPU seconds of this thread within one function."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def within(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, counted."""

        def counted(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - began

        return counted


def main(folder: str, *paths: str) -> None:
    """Load, then answer as often as a line says."""
    import torch

    from handlers.pipeline import Classifier
    from handlers.torchserve_handler import ImageClassifier

    torch.set_num_threads(1)
    images = [Path(path).read_bytes() for path in paths]
    decode, engine = Step(), Step()
    Classifier._decode = decode.within(Classifier._decode)  # type: ignore[method-assign]
    handler = ImageClassifier()
    handler.initialize(Context(folder))
    own = handler._classifier.engine
    own.outputs = engine.within(own.outputs)  # type: ignore[method-assign]
    print(json.dumps({"engine": getattr(own, "name", "eager")}), flush=True)
    for line in sys.stdin:
        requests, batches = (int(word) for word in line.split())
        decode.seconds = engine.seconds = total = 0.0
        for _ in range(batches):
            context = Context(requests=requests)
            data = [{"body": bytearray(images[place % len(images)])} for place in range(requests)]
            began = time.thread_time()
            handler.handle(data, context)
            total += time.thread_time() - began
            if any(answer["status"] != 200 for answer in context.answers):
                raise RuntimeError(f"an answer has another status than 200: {context.answers}")
        steps = {"decode": decode.seconds, "engine": engine.seconds, "total": total}
        print(json.dumps({name: value / (requests * batches) * 1e6 for name, value in steps.items()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
