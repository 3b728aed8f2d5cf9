"""Our own answers: JSON, or for an explanation, where Accept asks for it, its picture or its array alone."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from handlers.errors import BadJSON, BadOption, NotAcceptable
from handlers.explain.explanation import Explanation
from handlers.protocols import JSON, Content, Picture, Result, from_base64
from models.card import Card

PNG = "image/png"
NPY = "application/x-npy"
# What Accept chooses from, in the order of preference where it has none.
EXPLAIN_OUTPUTS = ("json", "overlay", "npy")

SHAPES = (
    '{"image": "<base64 of the file>"}, {"instances": [...]} (KServe v1) or {"inputs": [...]} (Open Inference v2), '
    "with options as members"
)


def parse(document: dict[str, Any]) -> tuple[list[tuple[str, Picture]], list[tuple[str, Any, str]]]:
    """`{"image": <base64 or data URL>, <option>: <value>, ...}` -> the image and its options.

    Raises:
        BadJSON: it has no image, or that is not base64.
    """
    if "image" not in document:
        raise BadJSON(f"the JSON body has {', '.join(document)[:200] or 'no members'}: send {SHAPES}")
    image = from_base64(document["image"], "member 'image'")
    return [("image", image)], [(name, value, "JSON") for name, value in document.items() if name != "image"]


# What `output` asks for, and what it is sent as.
OUTPUT_TYPES = {"json": JSON, "overlay": PNG, "heatmap": PNG, "npy": NPY}


@dataclass(frozen=True, slots=True)
class NativeReply:
    """`output` is a name of OUTPUT_TYPES."""

    output: str = "json"

    @property
    def pictures(self) -> bool:
        """All but the array alone have them."""
        return self.output != "npy"

    def draw(self, explained: Explanation) -> int:
        """Draw what will be sent; returns its bytes."""
        if self.output == "json":
            return draw(explained)
        return len(explained.overlay() if self.output == "overlay" else explained.heatmap())

    def answer(self, card: Card, request_id: str, results: Sequence[Result]) -> Content:
        """One image: its members beside model and version; many: `results`. Else the picture or the array alone."""
        if self.output == "overlay":
            return Content(_explained(results)[0].overlay(), PNG)
        if self.output == "heatmap":
            return Content(_explained(results)[0].heatmap(), PNG)
        if self.output == "npy":
            maps = [explained.heat.astype(np.float16) for explained in _explained(results)]
            buffer = io.BytesIO()
            np.save(buffer, maps[0] if len(maps) == 1 else np.stack(maps))
            return Content(buffer.getvalue(), NPY)
        found = [members(result) for result in results]
        body: dict[str, Any] = {"model": card.name, "version": card.version, "request_id": request_id}
        return Content(orjson.dumps(body | (found[0] if len(found) == 1 else {"results": found})))


def draw(explained: Explanation) -> int:
    """Draw the pictures that a JSON answer has; returns their bytes, in base64."""
    return (len(explained.overlay()) + len(explained.pixels())) * 4 // 3


def members(result: Result) -> dict[str, Any]:
    """The JSON members for one image."""
    found: dict[str, Any] = {"predictions": result.predictions}
    if result.uncertainty is not None:
        found |= result.uncertainty.members()
    if result.explanation is not None:
        pictures = {"overlay_png": result.explanation.overlay(), "heatmap_png": result.explanation.pixels()}
        encoded = {name: base64.b64encode(content).decode("ascii") for name, content in pictures.items()}
        found |= {**result.explanation.fields, **encoded}
    return found


def _explained(results: Sequence[Result]) -> list[Explanation]:
    return [result.explanation for result in results if result.explanation is not None]


def negotiate(accept: str, kind: str, images: int, output: str | None = None) -> str:
    """Choose the output of an answer: the one that is asked for, or else by the Accept header (RFC 9110, 12.5.1).

    Raises:
        NotAcceptable: none of those that this request can be answered with is accepted.
        BadOption: a picture of several images is asked for.
    """
    if output in ("overlay", "heatmap") and images > 1:
        raise BadOption(f"output is {output!r} for {images} images: a picture is of one; send one, or ask for json")
    offered = ["json"] if kind == "predict" else [name for name in EXPLAIN_OUTPUTS if name != "overlay" or images == 1]
    if output is not None:
        offered = [output]
    if accept.strip() in ("", "*/*"):  # as most clients send it
        return offered[0]
    ranges = [(_quality(part), part.partition(";")[0].strip().lower()) for part in accept.split(",")[:50]]
    best = max(offered, key=lambda name: (_accepted(OUTPUT_TYPES[name], ranges), -offered.index(name)))
    if _accepted(OUTPUT_TYPES[best], ranges)[0] <= 0:
        many = " for one image" if kind == "explain" and images > 1 else ""
        also = f" ({PNG}{many} too)" if many and output is None else ""
        there = ", ".join(OUTPUT_TYPES[name] for name in offered)
        raise NotAcceptable(f"Accept is {accept!r:.80}: this answer can be {there}{also}")
    return best


def _accepted(kept: str, ranges: Sequence[tuple[float, str]]) -> tuple[float, int]:
    """Quality of a type, by the most specific range that covers it, and how specific that is."""
    covering = {kept: 2, f"{kept.partition('/')[0]}/*": 1, "*/*": 0}
    found = [(covering[name], quality) for quality, name in ranges if name in covering]
    if not found:
        return 0.0, 0
    specific, quality = max(found)
    return quality, specific


def _quality(part: str) -> float:
    match = re.search(r";\s*q\s*=\s*([01](\.\d{0,3})?)\s*(;|$)", part, re.IGNORECASE)
    return float(match[1]) if match else 1.0
