"""Schema of an explanation: members that are always present, and members that depend on method and options."""

from __future__ import annotations

from typing import Any

from handlers.explain.evidence.warnings import KINDS
from handlers.explain.methods.baselines import NAMES as BASELINES
from handlers.explain.registry import METHODS
from scripts.maintenance.openapi.schema_types import COUNT, NUMBER, SHARE, WORD, Schema, object_of

PNG: Schema = {**WORD, "contentEncoding": "base64"}
_WEBP = {**PNG, "contentMediaType": "image/webp"}
_BOX = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
_CLASS = {"label": WORD, "index": COUNT}
_REGIONS = {"type": "array", "items": object_of({"box": _BOX, "share": SHARE})}

ALWAYS: dict[str, Any] = {
    "method": {"enum": list(METHODS)},
    "target": object_of(
        {
            **_CLASS,
            "source": {"enum": ["predicted", "requested", "contrast"]},
            "probability": SHARE,
            "raw_probability": SHARE,
        }
    ),
    "target_logit": NUMBER,
    "regions": object_of({"for": _REGIONS, "against": _REGIONS, "balance": SHARE, "sentence": WORD}),
    "warnings": {"type": "array", "items": object_of({"type": {"enum": list(KINDS)}, "message": WORD})},
    "milliseconds": NUMBER,
    "overlay_png": PNG,
    "heatmap_png": PNG,
}
# Present if the method has them, or if an option requests them.
SOMETIMES: dict[str, Any] = {
    "contrast": object_of(_CLASS),
    "steps": COUNT,
    "baseline": {"enum": list(BASELINES)},
    "smoothgrad_samples": COUNT,
    "deadline": object_of({"deadline_ms": COUNT, "left_ms": NUMBER, "estimate_ms": NUMBER}),
    "baseline_logit": NUMBER,
    "completeness": object_of({"delta": NUMBER, "ok": {"type": "boolean"}}),
    "faithfulness": object_of(
        dict.fromkeys(("deletion", "insertion", "gap", "versus_random", "versus_center"), NUMBER)
    ),
    "counterfactual": {
        "anyOf": [
            object_of({**_CLASS, "boxes": {"type": "array", "items": _BOX}, "share": SHARE, "probability": SHARE}),
            {"type": "null"},
        ]
    },
    "neighbors": {"type": "array", "items": object_of({**_CLASS, "distance": NUMBER, "thumbnail": _WEBP})},
}
