# mypy: disable-error-code="misc"
"""A handler for TorchServe: the peer `stock`, with Integrated Gradients as in VisionHandler.get_insights.

VisionHandler (ts/torch_handler/vision_handler.py) has 15 steps, and needs torchvision. This handler has 20 steps, the
same as Torchlight in the comparison. BaseHandler.explain_handle calls it, for class 0 unless the request names another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from captum.attr import IntegratedGradients

from benchmarks.compare.systems.programs import stock
from benchmarks.compare.systems.programs.classifier import Eager

STEPS = 20


class Explained(stock.Images):
    """Handler with predictions and explanations."""

    def initialize(self, context: Any) -> None:
        """Load the model in each worker."""
        super().initialize(context)
        assert isinstance(self.classifier, Eager), "explanations need gradients, and a compiled program has none"
        self.ig = IntegratedGradients(self.classifier.network)

    def get_insights(self, inputs: Sequence[torch.Tensor], _: Any, target: int = 0) -> Any:
        """Return attributions (N, 3, size, size) of N inputs, as nested lists."""
        return self.ig.attribute(torch.stack(list(inputs)), target=target, n_steps=STEPS).tolist()
