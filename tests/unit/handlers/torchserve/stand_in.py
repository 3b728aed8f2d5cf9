"""A stand-in for the parts of TorchServe that the handler uses."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from handlers.torchserve_handler import ImageClassifier


class Metrics:
    """TorchServe's cache of metrics: it keeps what is added to each."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, float, list[str]]] = []

    def counts(self) -> list[tuple[str, float]]:
        return [(name, value) for _, name, value, _ in self.added if not name.endswith("_bucket")]

    def get_metric(self, name: str, kind: Any) -> Any:
        return SimpleNamespace(add_or_update=lambda value, labels: self.added.append((kind.value, name, value, labels)))


class Context:
    """A stand-in for TorchServe's context."""

    def __init__(
        self,
        model_dir: str = "",
        headers: list[dict[str, Any]] | None = None,
        config: dict[str, Any] | None = None,
        metrics: Any = None,
        model_name: str = "digits",
        batch_size: int = 32,
    ) -> None:
        self.model_name = model_name
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": batch_size}
        self.model_yaml_config = config or {}
        self.headers = headers or []
        self.metrics = metrics or Metrics()
        self.statuses: dict[int, tuple[int, str]] = {}
        self.response_headers: dict[int, dict[str, str]] = {}

    def get_request_id(self, idx: int = 0) -> str | None:
        return f"server-{idx}"

    def get_all_request_header(self, place: int) -> dict[str, Any]:
        return self.headers[place]

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.statuses[idx] = (code, phrase)

    def set_response_header(self, place: int, name: str, value: str) -> None:
        self.response_headers.setdefault(place, {})[name] = value


def ask(handler: ImageClassifier, *requests: tuple[dict[str, Any], dict[str, Any]]) -> tuple[list[Any], Context]:
    context = Context(headers=[headers for _, headers in requests])
    bodies = handler.handle([parts for parts, _ in requests], context)
    return [json.loads(body) for body in bodies], context
