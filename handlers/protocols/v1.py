"""KServe's v1 protocol, which is also that of TensorFlow Serving's REST API and of Vertex AI.

    {"instances": [...], "parameters": {...}}  ->  {"predictions": [...]} or {"explanations": [...]}

Source: KServe, "V1 Inference Protocol"; TensorFlow Serving, "RESTful API", row format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from handlers.errors import BadJSON, TooManyImages
from handlers.explain.answer import Explained
from handlers.protocols import Content, Picture, Result, from_base64
from handlers.protocols.native import draw, members
from handlers.tensors import from_lists
from models.card import Card, Limits

_FORMS = (
    '{"b64": "<base64>"}, {"image_bytes": {"b64": ...}}, {"image": "<base64>"}, "<base64>" or nested lists of pixels'
)


def parse(
    document: dict[str, Any], kind: str, limits: Limits
) -> tuple[list[tuple[str, Picture]], list[tuple[str, Any, str]], V1Reply]:
    """Take a document with `instances` apart: images, options, and how to answer.

    Raises:
        BadJSON, BadTensor, ImageTooLarge, TooManyImages: it is none, or an instance is no image.
    """
    instances = document.get("instances")
    if not isinstance(instances, list) or not instances:
        raise BadJSON(f"member 'instances' must be a list of images: {{\"instances\": [...]}}, each {_FORMS}")
    if len(instances) > limits.max_images:
        raise TooManyImages(f"{len(instances):,} instances: at most {limits.max_images} images go into one request")
    images = [(f"instance {place}", _picture(value, place, limits)) for place, value in enumerate(instances)]
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadJSON(f"member 'parameters' is {type(parameters).__name__}: it must be an object with options")
    # TensorFlow Serving's clients name a signature; there is one here, so the name says nothing.
    plain = {n: v for n, v in document.items() if n not in ("instances", "parameters", "signature_name")}
    return images, [(name, value, "JSON") for name, value in [*plain.items(), *parameters.items()]], V1Reply(kind)


def _picture(value: Any, place: int, limits: Limits) -> Picture:
    where = f"instance {place}"
    if isinstance(value, list):
        return from_lists(value, limits)[0]
    if isinstance(value, str):
        return from_base64(value, where)
    if isinstance(value, dict) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name == "b64":
            return from_base64(inner, where)
        if name in ("image", "image_bytes"):
            return _picture(inner, place, limits)
    found = f"an object with {', '.join(value)[:80] or 'no members'}" if isinstance(value, dict) else f"{value!r:.40}"
    raise BadJSON(f"{where} is {found}: send {_FORMS}")


@dataclass(frozen=True, slots=True)
class V1Reply:
    """An entry for each instance: an object with the members of our own answers."""

    kind: str
    pictures: ClassVar[bool] = True

    def draw(self, explained: Explained) -> int:
        """As for our own JSON."""
        return draw(explained)

    def answer(self, card: Card, request_id: str, results: Sequence[Result]) -> Content:
        """`predictions` or `explanations`, in the order of the instances."""
        member = "explanations" if self.kind == "explain" else "predictions"
        return Content(orjson.dumps({member: [members(result) for result in results]}))
