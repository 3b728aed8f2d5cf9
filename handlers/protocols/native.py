"""Our own protocol: JSON. For an explanation also only a PNG or only the array, if Accept or `output` asks for it."""

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
from handlers.modalities.image.images import ImageInput
from handlers.protocols import JSON, Explanation, Response, Result, from_base64
from models.card import Card

PNG = "image/png"
NPY = "application/x-npy"
# Outputs that Accept chooses from. The first is the default.
EXPLAIN_OUTPUTS = ("json", "overlay", "npy")

SHAPES = (
    '{"image": "<base64 of the file>"}, {"instances": [...]} (KServe v1) or {"inputs": [...]} (Open Inference v2), '
    "with options as members"
)


def parse(document: dict[str, Any]) -> tuple[list[tuple[str, ImageInput]], list[tuple[str, Any, str]]]:
    """Parse `{"image": <base64 or data URL>, <option>: <value>, ...}` into the image and its options.

    Raises:
        BadJSON: the document has no image, or the image is not base64.
    """
    if "image" not in document:
        raise BadJSON(f"the JSON body has {', '.join(document)[:200] or 'no members'}: send {SHAPES}")
    image = from_base64(document["image"], "member 'image'")
    return [("image", image)], [(name, value, "JSON") for name, value in document.items() if name != "image"]


# The content type of each value of the option `output`.
OUTPUT_TYPES = {"json": JSON, "overlay": PNG, "heatmap": PNG, "npy": NPY}


@dataclass(frozen=True, slots=True)
class NativeEncoder:
    """Encoder of our own responses. `output` is a name of OUTPUT_TYPES."""

    output: str = "json"

    @property
    def renders(self) -> bool:
        """Return whether the response contains PNGs. Only the output `npy` has none."""
        return self.output != "npy"

    def render(self, explanation: Explanation) -> int:
        """Render the PNGs of the response; return their size in bytes."""
        if self.output == "json":
            return render(explanation)
        return len(explanation.overlay() if self.output == "overlay" else explanation.heatmap())

    def encode(self, card: Card, request_id: str, results: Sequence[Result]) -> Response:
        """Encode JSON, with several images as `results`; or one PNG, or the array, as `output` says."""
        headers = {"content-type": OUTPUT_TYPES[self.output]}
        if self.output == "json":
            entries = [members(result) for result in results]
            body: dict[str, Any] = {"model": card.name, "version": card.version, "request_id": request_id}
            body |= entries[0] if len(entries) == 1 else {"results": entries}
            return Response(orjson.dumps(body), headers)
        explanations = [result.explanation for result in results if result.explanation is not None]
        if self.output == "overlay":
            return Response(explanations[0].overlay(), headers)
        if self.output == "heatmap":
            return Response(explanations[0].heatmap(), headers)
        maps = [explanation.heat.astype(np.float16) for explanation in explanations]
        buffer = io.BytesIO()
        np.save(buffer, maps[0] if len(maps) == 1 else np.stack(maps))
        return Response(buffer.getvalue(), headers)


def render(explanation: Explanation) -> int:
    """Render the PNGs of a JSON response; return their size in bytes as base64."""
    return (len(explanation.overlay()) + len(explanation.pixels())) * 4 // 3


def members(result: Result) -> dict[str, Any]:
    """Return the JSON members for one image."""
    document: dict[str, Any] = {"predictions": result.predictions}
    if result.uncertainty is not None:
        document |= result.uncertainty.members()
    if result.explanation is not None:
        pngs = {"overlay_png": result.explanation.overlay(), "heatmap_png": result.explanation.pixels()}
        encoded = {name: base64.b64encode(content).decode("ascii") for name, content in pngs.items()}
        document |= {**result.explanation.fields, **encoded}
    return document


def negotiate(accept: str, kind: str, images: int, output: str | None = None) -> str:
    """Choose the output of a response: the option `output`, or else by the Accept header (RFC 9110, 12.5.1).

    Raises:
        NotAcceptable: Accept allows no output that this request can have.
        BadOption: `output` is a PNG, and the request has several images.
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
        for_one = f" ({PNG} for one image too)" if kind == "explain" and images > 1 and output is None else ""
        available = ", ".join(OUTPUT_TYPES[name] for name in offered)
        raise NotAcceptable(f"Accept is {accept!r:.80}: this answer can be {available}{for_one}")
    return best


def _accepted(content_type: str, ranges: Sequence[tuple[float, str]]) -> tuple[float, int]:
    """Return the quality of a type, by the most specific range that covers it, and how specific that range is."""
    specificity = {content_type: 2, f"{content_type.partition('/')[0]}/*": 1, "*/*": 0}
    covering = [(specificity[name], quality) for quality, name in ranges if name in specificity]
    if not covering:
        return 0.0, 0
    specific, quality = max(covering)
    return quality, specific


def _quality(part: str) -> float:
    match = re.search(r";\s*q\s*=\s*([01](\.\d{0,3})?)\s*(;|$)", part, re.IGNORECASE)
    return float(match[1]) if match else 1.0
