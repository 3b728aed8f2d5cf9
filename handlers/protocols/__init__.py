"""Shapes of requests and responses: our own, KServe V1, and Open Inference V2.

A protocol is a module here that parses a JSON document and has a ResponseEncoder. handlers/request.py chooses it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import numpy as np

from handlers.decision import Uncertainty
from handlers.errors import BadJSON
from handlers.metrics import RequestMetrics
from models.card import Card

JSON = "application/json"
BINARY = "application/octet-stream"


class Explanation(Protocol):
    """The explanation of one image. `fields` are its JSON members; each picture is rendered once."""

    @property
    def fields(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def heat(self) -> np.ndarray:
        """The signed attribution map, float32 (h, w) of the network's input."""
        ...

    def overlay(self) -> bytes:
        """Return the map over the image, as PNG."""
        ...

    def heatmap(self) -> bytes:
        """Return the map alone, with a legend, as PNG."""
        ...

    def pixels(self) -> bytes:
        """Return the map alone, one pixel for each of its values, as PNG."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one image.

    Attributes:
        predictions: classes, most probable first.
        uncertainty: of the predictions, if the card has `uncertainty`.
        explanation: of the predictions, if the request asks for one.
    """

    predictions: list[dict[str, Any]]
    uncertainty: Uncertainty | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        metrics: of the request; handlers/response.py fills them in.
    """

    body: bytes
    headers: dict[str, str]
    status: HTTPStatus = HTTPStatus.OK
    metrics: RequestMetrics = field(default_factory=RequestMetrics)


class ResponseEncoder(Protocol):
    """The encoding that a request asks for. `renders` is true if its response contains PNGs."""

    @property
    def renders(self) -> bool: ...  # noqa: D102

    def render(self, explanation: Explanation) -> int:
        """Render the PNGs of one explanation for the response; return their size in bytes."""
        ...

    def encode(self, card: Card, request_id: str, results: Sequence[Result]) -> Response:
        """Return the response for the request's images, in their order, with its own headers only."""
        ...


def from_base64(value: Any, where: str) -> bytes:
    """Return the bytes of a base64 string or data URL.

    Raises:
        BadJSON: `value` is neither. The message names the member, `where`.
    """
    if not isinstance(value, str):
        raise BadJSON(f"{where} is {type(value).__name__}: it must be a string, the base64 of an image file")
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJSON(f"{where} is not base64 ({error}); it begins with {value[:24]!r}") from None
