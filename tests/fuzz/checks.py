"""Checks of single responses: is a good one the same as without load, and has an error the documented shape?"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.connection import RawResponse
from tests.fuzz.corpus.request import FuzzRequest
from tests.fuzz.corpus.routes import JSON, V1, V2

# Members of an explanation that are sums over many pixels and steps.
SUMS = {"f_x", "f_baseline", "target_logit", "baseline_logit", "delta"}
# Two units of the sixth digit of a probability. A score has four digits: one unit is at most this share of it.
PROBABILITY_TOLERANCE, SCORE_TOLERANCE = 2.1e-6, 1e-3
# One unit of the last digit of members with three or four digits.
ROUNDED = {"share": 1.1e-3, "balance": 1.1e-3, "distance": 1.1e-4}
# Levels between two colors of a colormap, and the share of an overlay that one digit of its legend covers.
COLOR_STEP, LEGEND_SHARE = 4, 0.002
OVERLAYS = {"overlay_png", "heatmap_png"}


def difference(reference: RawResponse, response: RawResponse) -> str | None:
    """Return how a response differs from the reference response to the same request; None if it does not.

    Request ids and times are not compared. Labels, sets and decisions must be equal. Results in float32 depend on the
    batch size in their sixth digit. So probabilities may differ by 2 units of their last digit, and scores by one unit.
    Sums of an explanation may differ by 1e-4, shares and distances by one unit of their last digit. A pixel of an
    overlay may have the next color of the colormap. One digit of the legend may be another one.
    """
    expected, actual = reference.json(), response.json()
    for document in (expected, actual):
        for name in ("request_id", "id"):
            document.pop(name, None)
    path = _first_difference(expected, actual)
    return f"differs from the reference at {path}" if path else None


def _first_difference(expected: Any, actual: Any, name: str = "") -> str | None:
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        paths = (_first_difference(expected[key], actual[key], key) for key in expected)
        return next((f"{name}.{path}" if name else path for path in paths if path), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        paths = (_first_difference(*pair, name) for pair in zip(expected, actual, strict=True))
        return next((path for path in paths if path), None)
    if _values_match(expected, actual, name):
        return None
    return f"{name}: {expected!r:.200} expected, {actual!r:.200} received"


def _values_match(expected: Any, actual: Any, name: str) -> bool:
    if name == "milliseconds":
        return True
    if name in ROUNDED:
        return bool(abs(expected - actual) <= ROUNDED[name])
    if name in SUMS:
        return bool(abs(expected - actual) <= 1e-4)
    if isinstance(expected, float) and isinstance(actual, float):
        tolerance = PROBABILITY_TOLERANCE if abs(expected) <= 1 else SCORE_TOLERANCE * abs(expected)
        return abs(expected - actual) <= tolerance
    if name in OVERLAYS:
        return _overlays_match(_pixels(expected), _pixels(actual))
    return bool(expected == actual)


def _overlays_match(expected: np.ndarray, actual: np.ndarray) -> bool:
    if expected.shape != actual.shape:
        return False
    differs = np.abs(expected - actual).max(axis=2) > COLOR_STEP
    return bool(differs.mean() <= LEGEND_SHARE)


def _pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"), np.int16)


def error_shape_problem(request: FuzzRequest, response: RawResponse) -> str | None:
    """Return why an error response does not have the documented shape; None if it has."""
    try:
        body: Any = response.json()
    except ValueError:
        return f"{response.status} without JSON"
    if not isinstance(body, dict):
        return f"{response.status} with {type(body).__name__}, not an object"
    names = {"code", "type", "message"}
    if request.path.partition("?")[0] in (*V1, *V2):
        names |= {"error"}
    if set(body) | {"error"} != names | {"error"} or not names <= set(body):
        return f"{response.status} with members {sorted(body)}, not {sorted(names)}"
    if body["code"] != response.status:
        return f"{response.status} with code {body['code']!r}"
    if body.get("error", body["message"]) != body["message"]:
        return f"{response.status} whose error is not its message"
    if not str(body["type"]).isalpha() or not 10 < len(str(body["message"])) < 2_000:
        return f"{response.status} of type {body['type']!r:.80} and a message of {len(str(body['message']))} characters"
    if response.headers.get("content-type") != JSON:
        return f"{response.status} as {response.headers.get('content-type')}, not {JSON}"
    return None
