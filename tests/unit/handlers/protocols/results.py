"""Results without a model, from which these tests encode responses."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from handlers.decision import Uncertainty
from handlers.explain.explanation import Explanation
from handlers.explain.rendering.legend import Caption, Class
from handlers.explain.rendering.overlay import Style
from handlers.modalities.image.images import View
from handlers.protocols import Result

FIELDS: dict[str, Any] = {
    "method": "ig",
    "target": {"label": "dog", "index": 1, "source": "predicted"},
    "steps": 20,
    "baseline": "blur",
    "target_logit": 2.5,
    "baseline_logit": -0.5,
    "completeness": {"delta": 0.0, "ok": True},
}


def found(*labels: str) -> list[dict[str, Any]]:
    """Predictions of these labels, each half as probable as the one before."""
    return [{"label": label, "index": place, "probability": 0.5 ** (place + 1)} for place, label in enumerate(labels)]


JUDGEMENT = Uncertainty(["dog", "cat"], 1.5, 1.0, "energy", "ambiguous")
JUDGED: dict[str, Any] = {
    "set": ["dog", "cat"],
    "ood": {"score": 1.5, "threshold": 1.0, "method": "energy"},
    "decision": "refer",
    "reason": "ambiguous",
    "reason_detail": None,
}


def explained(heat: float = 1.0) -> Result:
    """A prediction with its explanation, whose map has the value `heat` in its upper left corner."""
    values = np.zeros((4, 4), np.float32)
    values[0, 0] = heat
    view = View(Image.new("RGB", (8, 8), "red"), (0, 0, 8, 8))
    explanation = Explanation(dict(FIELDS), values, view, Caption("Integrated Gradients", Class(1, "dog")), Style())
    return Result(found("dog", "cat"), explanation=explanation)
