"""A process with a handler, which measures batches on request.

It is run by its path, with the project on PYTHONPATH, perhaps of another revision. So it imports only the handler from
the project. It reads lines `<batch size> <batches>`, and writes a line of JSON with the cost for each.

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

# Headers of a request from the proxy, and the entry that TorchServe adds for its body.
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
    """The part of TorchServe's context that the handler uses."""

    def __init__(self, folder: str = "", requests: int = 0) -> None:
        self.model_name = "benchmark"
        self.model_yaml_config: dict[str, Any] = {}
        self.system_properties = {"model_dir": folder, "gpu_id": None, "batch_size": 32}
        self.metrics = SimpleNamespace(
            get_metric=lambda *names: SimpleNamespace(add_or_update=lambda *values: None),
            add_time=lambda *values: None,
        )
        self.headers = [dict(HEADERS) for _ in range(requests)]
        self.responses: list[dict[str, Any]] = [{} for _ in range(requests)]

    def get_request_id(self, index: int) -> str:
        """Return TorchServe's id of a request."""
        return f"server-{index}"

    def get_all_request_header(self, index: int) -> dict[str, Any]:
        """Return the headers of a request."""
        return self.headers[index]

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        """Set the status of a response."""
        self.responses[idx]["status"] = code

    def set_response_header(self, index: int, name: str, value: str) -> None:
        """Set a header of a response."""
        self.responses[index][name] = value


class Step:
    """CPU seconds that this thread spends in a function."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function, so that its CPU time is added to `seconds`."""

        def timed_function(*arguments: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.thread_time() - start

        return timed_function


def main(folder: str, *paths: str) -> None:
    """Load the handler, then measure batches for each line of the input."""
    import torch

    from handlers import pipeline
    from handlers.torchserve_handler import ImageClassifier

    torch.set_num_threads(1)
    images = [Path(path).read_bytes() for path in paths]
    decode, engine = Step(), Step()
    # Older revisions decode in the class Classifier of the same module.
    pipeline_class: Any = getattr(pipeline, "Pipeline", None) or vars(pipeline)["Classifier"]
    pipeline_class._decode = decode.timed(pipeline_class._decode)
    handler = ImageClassifier()
    handler.initialize(Context(folder))
    active_engine = handler._classifier.engine
    active_engine.outputs = engine.timed(active_engine.outputs)  # type: ignore[method-assign]
    print(json.dumps({"engine": getattr(active_engine, "name", "eager")}), flush=True)
    for line in sys.stdin:
        requests, batches = (int(word) for word in line.split())
        decode.seconds = engine.seconds = total = 0.0
        for _ in range(batches):
            context = Context(requests=requests)
            data = [{"body": bytearray(images[index % len(images)])} for index in range(requests)]
            start = time.thread_time()
            handler.handle(data, context)
            total += time.thread_time() - start
            if any(response["status"] != 200 for response in context.responses):
                raise RuntimeError(f"a response has a status other than 200: {context.responses}")
        steps = {"decode": decode.seconds, "engine": engine.seconds, "total": total}
        print(json.dumps({name: value / (requests * batches) * 1e6 for name, value in steps.items()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
