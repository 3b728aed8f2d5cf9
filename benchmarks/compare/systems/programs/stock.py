# mypy: disable-error-code="misc"
"""TorchServe: preprocess, inference and postprocess of a BaseHandler, as its image_classifier has them."""

from __future__ import annotations

from typing import Any

from ts.torch_handler.base_handler import BaseHandler

from benchmarks.compare.systems.programs import classifier


class Images(BaseHandler):
    """The bodies of a batch -> their classes."""

    def initialize(self, context: Any) -> None:
        """In each worker."""
        self.context = context
        self.classifier = classifier.load()
        self.initialized = True

    def preprocess(self, data: list[dict[str, Any]]) -> list[Any]:
        """Raw bodies, or files of a form."""
        return [self.classifier.pixels(row.get("data") or row["body"]) for row in data]

    def inference(self, data: list[Any], *args: Any, **kwargs: Any) -> list[classifier.Prediction]:
        """The whole batch."""
        return self.classifier.classify(data)

    def postprocess(self, data: list[classifier.Prediction]) -> list[classifier.Prediction]:
        """TorchServe makes the JSON."""
        return data
