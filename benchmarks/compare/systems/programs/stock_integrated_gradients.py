# mypy: disable-error-code="misc"
"""A handler for TorchServe: the peers' stock one, with Integrated Gradients as VisionHandler.get_insights has them.

VisionHandler (ts/torch_handler/vision_handler.py) takes 15 steps and cannot be imported without torchvision; here they
are 20, as many as are asked of the bundle. BaseHandler.explain_handle calls it, for class 0 unless a request says more.
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
    """Predictions and explanations."""

    def initialize(self, context: Any) -> None:
        """In each worker."""
        super().initialize(context)
        assert isinstance(self.classifier, Eager), "explanations need gradients, which a compiled program has not"
        self.ig = IntegratedGradients(self.classifier.network)

    def get_insights(self, inputs: Sequence[torch.Tensor], _: Any, target: int = 0) -> Any:
        """Inputs of N images -> attributions (N, 3, size, size), as nested lists."""
        return self.ig.attribute(torch.stack(list(inputs)), target=target, n_steps=STEPS).tolist()
