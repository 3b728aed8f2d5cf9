"""One image on its way to an explanation: what is known of it before, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from handlers.decision import Uncertainty
from handlers.explain.rendering import overlay
from handlers.explain.rendering.legend import Caption
from handlers.explain.rendering.overlay import Style
from handlers.explain.scheduling.deadline import Choice
from handlers.explain.validation import Target
from handlers.modalities.image.images import View
from handlers.options import Options


@dataclass(frozen=True, slots=True)
class Known:
    """What the prediction of one image came to.

    Attributes:
        predicted: the index of the most probable class.
        probabilities: calibrated, float64 (classes,).
        raw: the same without the temperature.
        embedding: the head's input, (D,).
    """

    predicted: int
    probabilities: torch.Tensor
    raw: torch.Tensor
    embedding: torch.Tensor
    uncertainty: Uncertainty | None


@dataclass(frozen=True, slots=True)
class Item:
    """One image that is to be explained.

    Attributes:
        options: of its request.
        choice: of its method, where a deadline made it.
    """

    view: View
    target: Target
    known: Known
    options: Options
    choice: Choice | None = None


@dataclass(slots=True)
class Explained:
    """Why one image was answered so.

    Attributes:
        fields: what the answer says in words and numbers.
        heat: the signed map, float32 (h, w) of the network's input.
        view: the image to lay it over.
    """

    fields: dict[str, Any]
    heat: np.ndarray
    view: View
    caption: Caption
    style: Style
    _drawn: dict[str, bytes] = field(default_factory=dict)

    def overlay(self) -> bytes:
        """The map laid over the picture, as PNG; drawn once."""
        if "overlay" not in self._drawn:
            self._drawn["overlay"] = overlay.overlay(self.view.image, self.heat, self.caption, self.style)
        return self._drawn["overlay"]

    def heatmap(self) -> bytes:
        """The map alone, with a legend, as PNG; drawn once."""
        if "heatmap" not in self._drawn:
            size = self.view.image.size
            self._drawn["heatmap"] = overlay.heatmap(self.heat, self.caption, self.style, size)
        return self._drawn["heatmap"]

    def pixels(self) -> bytes:
        """The map alone, a pixel for each of its values, as PNG; drawn once."""
        if "pixels" not in self._drawn:
            style, (height, width) = replace(self.style, resolution="model"), self.heat.shape
            self._drawn["pixels"] = overlay.heatmap(self.heat, self.caption, style, (width, height))
        return self._drawn["pixels"]
