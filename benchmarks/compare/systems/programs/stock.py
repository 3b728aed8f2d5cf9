# mypy: disable-error-code="misc"
"""TorchServe: a BaseHandler with preprocess, inference and postprocess, like its image_classifier."""

from __future__ import annotations

from typing import Any

from ts.torch_handler.base_handler import BaseHandler

from benchmarks.compare.systems.programs import classifier


class Images(BaseHandler):
    """Handler that classifies the bodies of a batch."""

    def initialize(self, context: Any) -> None:
        """Load the model in each worker."""
        self.context = context
        self.classifier = classifier.load()
        self.initialized = True

    def preprocess(self, data: list[dict[str, Any]]) -> list[Any]:
        """Decode raw bodies, or files of a form."""
        return [self.classifier.pixels(row.get("data") or row["body"]) for row in data]

    def inference(self, data: list[Any], *args: Any, **kwargs: Any) -> list[classifier.Prediction]:
        """Classify the batch."""
        return self.classifier.classify(data)

    def postprocess(self, data: list[classifier.Prediction]) -> list[classifier.Prediction]:
        """Return the predictions, which TorchServe encodes as JSON."""
        return data
