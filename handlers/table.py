"""The options there are, a row each. deploy/openapi.json is made from them, and docs/http.md compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handlers.explain.methods import baselines
from handlers.explain.registry import METHODS
from handlers.explain.rendering import colormaps

DEFAULT_TOP_K = 5
DEFAULT_NEIGHBORS = 3
OUTPUTS = ("json", "overlay", "heatmap", "npy")


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table. `explain_only` options are unknown to a prediction; `schema` is JSON Schema."""

    name: str
    header: str
    schema: dict[str, Any]
    says: str
    explain_only: bool = False


TABLE = (
    Option(
        "top_k",
        "X-Top-K",
        {"type": "integer", "minimum": 1, "maximum": 999_999, "default": DEFAULT_TOP_K},
        f"how many classes to list, most probable first (default: {DEFAULT_TOP_K})",
    ),
    Option(
        "timing",
        "X-Timing",
        {"type": "boolean", "default": False},
        "true: the answer's Server-Timing header has the milliseconds of each stage (default: false)",
    ),
    Option(
        "method",
        "X-Explain-Method",
        {"type": "string", "enum": list(METHODS)},
        "the attribution method (default: the model's own; with a deadline the best that it leaves time for)",
        True,
    ),
    Option(
        "target",
        "X-Target",
        {"type": ["string", "integer"]},
        "the class to explain, by label or else by index (default: the predicted one)",
        True,
    ),
    Option(
        "contrast",
        "X-Contrast",
        {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 2, "maxItems": 2},
        "two classes: what speaks for the first and against the second; as A,B outside JSON",
        True,
    ),
    Option(
        "steps",
        "X-Explain-Steps",
        {"type": "integer", "minimum": 1, "maximum": 2000},
        "steps or samples of the method, each of which has bounds and a default of its own",
        True,
    ),
    Option(
        "baseline",
        "X-Explain-Baseline",
        {"type": "string", "enum": list(baselines.NAMES)},
        "what the image is compared with, where the method compares (default: the method's own)",
        True,
    ),
    Option(
        "smoothgrad_samples",
        "X-Explain-Smoothgrad-Samples",
        {"type": "integer", "minimum": 0, "maximum": 50, "default": 0},
        "noisy copies of the image to average over (SmoothGrad), for methods of gradients (default: 0)",
        True,
    ),
    Option(
        "deadline_ms",
        "X-Explain-Deadline",
        {"type": "integer", "minimum": 1, "maximum": 600_000},
        "milliseconds until the answer is needed, counted from the proxy",
        True,
    ),
    Option(
        "faithfulness",
        "X-Explain-Faithfulness",
        {"type": "boolean", "default": False},
        "true: measure whether the map beats a random and a centered one, by more passes (default: false)",
        True,
    ),
    Option(
        "counterfactual",
        "X-Explain-Counterfactual",
        {"type": "boolean", "default": False},
        "true: find the few patches that, blurred, change the class, by more passes (default: false)",
        True,
    ),
    Option(
        "neighbors",
        "X-Explain-Neighbors",
        {"type": "integer", "minimum": 0, "maximum": 20, "default": DEFAULT_NEIGHBORS},
        f"how many of the nearest training images to show, if the archive has them (default: {DEFAULT_NEIGHBORS})",
        True,
    ),
    Option(
        "output",
        "X-Explain-Output",
        {"type": "string", "enum": list(OUTPUTS)},
        "json, or one thing alone: the overlay, the heat map, the array (default: what Accept says, else json)",
        True,
    ),
    Option(
        "sign",
        "X-Explain-Sign",
        {"type": "string", "enum": ["both", "positive"], "default": "both"},
        "both: evidence for the class and against it; positive: for it alone (default: both)",
        True,
    ),
    Option(
        "alpha",
        "X-Explain-Alpha",
        {"type": "number", "minimum": 0, "maximum": 1},
        "how opaque the strongest evidence is laid over the image (default: 0.85)",
        True,
    ),
    Option(
        "colormap",
        "X-Explain-Colormap",
        {"type": "string", "enum": list(colormaps.NAMES)},
        "the colors of the evidence; color-blind people can tell all of them apart (default: rdbu)",
        True,
    ),
    Option(
        "resolution",
        "X-Explain-Resolution",
        {"type": "string", "enum": ["original", "model"], "default": "original"},
        "original: the picture as it came, with a legend; model: the pixels of the network's input (default: original)",
        True,
    ),
)
NAMES = tuple(option.name for option in TABLE)
