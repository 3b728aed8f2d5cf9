"""An image to explain, and its explanation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from handlers.decision import PredictionContext
from handlers.explain.rendering import overlay
from handlers.explain.rendering.legend import Caption
from handlers.explain.rendering.overlay import Style
from handlers.explain.scheduling.deadline import DeadlineChoice
from handlers.explain.validation import Target
from handlers.modalities.image.images import View
from handlers.options import ExplainOptions


@dataclass(frozen=True, slots=True)
class ExplanationInput:
    """One image to explain.

    Attributes:
        options: options of the request.
        deadline_choice: the method that the deadline chose; None without a deadline.
    """

    view: View
    target: Target
    context: PredictionContext
    options: ExplainOptions
    deadline_choice: DeadlineChoice | None = None


@dataclass(slots=True)
class Explanation:
    """The explanation of one image.

    Attributes:
        fields: JSON members of the response.
        heat: signed map, float32 (h, w), at the resolution of the network's input.
        view: the image to lay the map over.
    """

    fields: dict[str, Any]
    heat: np.ndarray
    view: View
    caption: Caption
    style: Style
    _rendered: dict[str, bytes] = field(default_factory=dict)

    def overlay(self) -> bytes:
        """Return the map over the image, as PNG; it is drawn once."""
        if "overlay" not in self._rendered:
            self._rendered["overlay"] = overlay.overlay(self.view.image, self.heat, self.caption, self.style)
        return self._rendered["overlay"]

    def heatmap(self) -> bytes:
        """Return the map alone with a legend, as PNG; it is drawn once."""
        if "heatmap" not in self._rendered:
            size = self.view.image.size
            self._rendered["heatmap"] = overlay.heatmap(self.heat, self.caption, self.style, size)
        return self._rendered["heatmap"]

    def pixels(self) -> bytes:
        """Return the map alone with one pixel for each value, as PNG; it is drawn once."""
        if "pixels" not in self._rendered:
            style, (height, width) = replace(self.style, resolution="model"), self.heat.shape
            self._rendered["pixels"] = overlay.heatmap(self.heat, self.caption, style, (width, height))
        return self._rendered["pixels"]
