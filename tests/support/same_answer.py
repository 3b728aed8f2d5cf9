"""The comparison of two responses to the same image: equal, except for the rounding of float32 sums.

A matrix product sums in another order for another number of rows, so the last bits of float32 logits change with the
batch: about 1e-6 of values around 10. A softmax shrinks that to less than one unit of a probability's sixth digit. By
rounding, 1e-6 or, at a border, 2e-6 may show. Logits and sums over a whole map keep more of it. Scores, shares and
distances have three or four digits, and the last one may change. A pixel of a picture may take the next color of its
palette, and a digit of its legend may be another one. Labels, sets and decisions may not change.
"""

from __future__ import annotations

import base64
import io
import json
import math
from typing import Any

import numpy as np
from PIL import Image

# How far two numbers may be apart, by the name of their member.
ABSOLUTE_TOLERANCE = {
    **dict.fromkeys(("probability", "raw_probability"), 2.1e-6),
    **dict.fromkeys(("target_logit", "baseline_logit", "delta"), 1e-4),
    **dict.fromkeys(("deletion", "insertion", "gap", "versus_random", "versus_center", "insertion_start"), 2.1e-4),
    **dict.fromkeys(("share", "balance"), 1.1e-3),
    "distance": 1.1e-4,
}
RELATIVE_TOLERANCE = {"score": 1.1e-3, "ood_score": 1.1e-3}
# Members that differ from request to request.
NOT_COMPARED = {"milliseconds", "request_id", "id"}
PICTURES = {"overlay_png", "heatmap_png"}
# Levels between two colors of a palette, and the share of a picture that one digit of its legend covers.
COLOR_STEP, LEGEND_SHARE = 4, 0.002


def first_difference(expected: Any, actual: Any) -> str | None:
    """Return where two JSON documents differ by more than float32 sums may, and how; None where they do not."""
    return _difference(expected, actual, "")


def _difference(expected: Any, actual: Any, name: str) -> str | None:
    if name in NOT_COMPARED:
        return None
    if isinstance(expected, dict) and isinstance(actual, dict) and list(expected) == list(actual):
        if "data" in expected and "name" in expected:  # a tensor of the v2 protocol: its data has the tensor's name
            expected, actual = ({**tensor, tensor["name"]: tensor["data"]} for tensor in (expected, actual))
            del expected["data"], actual["data"]
        paths = (_difference(expected[key], actual.get(key), key) for key in expected)
        return next((f"{name}.{path}" if name else path for path in paths if path), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        paths = (_difference(*pair, name) for pair in zip(expected, actual, strict=True))
        return next((path for path in paths if path), None)
    if _same_value(expected, actual, name):
        return None
    return f"{name}: {expected!r:.200} expected, {actual!r:.200} received"


def _same_value(expected: Any, actual: Any, name: str) -> bool:
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, float) and (name in ABSOLUTE_TOLERANCE or name in RELATIVE_TOLERANCE):
        absolute, relative = ABSOLUTE_TOLERANCE.get(name, 0.0), RELATIVE_TOLERANCE.get(name, 0.0)
        return math.isclose(expected, actual, rel_tol=relative, abs_tol=absolute)
    if name in PICTURES:
        return _same_picture(_pixels(expected), _pixels(actual))
    if name == "explanation" and isinstance(expected, str) and expected.startswith("{"):
        return first_difference(json.loads(expected), json.loads(actual)) is None
    return bool(expected == actual)


def _same_picture(expected: np.ndarray, actual: np.ndarray) -> bool:
    if expected.shape != actual.shape:
        return False
    differs = np.abs(expected - actual).max(axis=2) > COLOR_STEP
    return bool(differs.mean() <= LEGEND_SHARE)


def _pixels(encoded: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), np.int16)
