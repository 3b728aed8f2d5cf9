"""The shapes that a request may have, and the shape that its answer then has: our own, KServe v1, Open Inference v2.

A protocol is a module here that takes a JSON document apart and has a Reply; handlers/request.py chooses which.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from handlers.decision import Uncertainty
from handlers.errors import BadJSON
from handlers.explain.explanation import Explanation
from models.card import Card

# An encoded image, or the uint8 pixels (H, W) or (H, W, C) of one that was sent as an array.
Picture = bytes | np.ndarray
JSON = "application/json"
BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found on one image: classes, most probable first.

    Attributes:
        uncertainty: how far that can be trusted, where the card has `uncertainty`.
        explanation: why, where that was asked.
    """

    predictions: list[dict[str, Any]]
    uncertainty: Uncertainty | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The body of an answer, and the headers that describe it."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Reply(Protocol):
    """How one request wants to be answered; `pictures` says whether explanations are drawn for it."""

    @property
    def pictures(self) -> bool: ...  # noqa: D102

    def draw(self, explained: Explanation) -> int:
        """Draw what the answer shows of one explanation; returns its bytes."""
        ...

    def answer(self, card: Card, request_id: str, results: Sequence[Result]) -> Content:
        """The answer for the request's images, in their order."""
        ...


def from_base64(value: Any, where: str) -> bytes:
    """The bytes of a base64 string or data URL.

    Raises:
        BadJSON: it is neither; `where` says which member it is.
    """
    if not isinstance(value, str):
        raise BadJSON(f"{where} is {type(value).__name__}: it must be a string, the base64 of an image file")
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJSON(f"{where} is not base64 ({error}); it begins with {value[:24]!r}") from None
