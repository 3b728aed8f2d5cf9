"""The options of a request: one table, wherever they stand.

TABLE has a row for each option; deploy/openapi.json is made from it, and docs/http.md compared with it. An option may
come as query parameter, header, multipart field or JSON member, and on /invocations in SageMaker's custom attributes.

TorchServe drops the query of a POST, so the front door hands it on in the header X-Torchlight-Query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from handlers.errors import BadOption, UnknownOption

QUERY_HEADER = "x-torchlight-query"
# SageMaker passes these on to the container as they were sent; here `top_k=3;explain=true`.
ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"
DEFAULT_TOP_K = 5

Given = tuple[str, Any, str]  # name, value, where it stood


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
        "method", "X-Explain-Method", {"type": "string", "default": "ig"}, "the attribution method (default: ig)", True
    ),
    Option(
        "target",
        "X-Target",
        {"type": ["string", "integer"]},
        "the class to explain, by label or else by index (default: the predicted one)",
        True,
    ),
)
NAMES = tuple(option.name for option in TABLE)


@dataclass(frozen=True, slots=True)
class Options:
    """What one request asks for. `target` stays as it was written: only the card knows which classes there are."""

    top_k: int = DEFAULT_TOP_K
    timing: bool = False
    method: str = "ig"
    target: str | None = None


def accepted(kind: str) -> tuple[str, ...]:
    """The names of the options that a request of this kind may have."""
    return tuple(option.name for option in TABLE if kind == "explain" or not option.explain_only)


def from_headers(headers: Mapping[str, str], route: str = "") -> list[Given]:
    """The options that stand in query and headers. Header names must be in lower case.

    Raises:
        BadOption: the query has far more parameters than there are options.
    """
    given: list[Given] = []
    try:
        text = headers.get(QUERY_HEADER, "")
        query = parse_qsl(text, keep_blank_values=True, max_num_fields=100) if text else []
    except ValueError as error:
        raise BadOption(f"the query cannot be taken apart ({error}): options are name=value, joined by &") from None
    for name, value in query:
        if not (route == "invocations" and name == "model_name"):  # chooses the model, as in TorchServe
            given.append((name, value, "query"))
    if route == "invocations":
        for pair in filter(None, re.split(r"[;&,]\s*", headers.get(ATTRIBUTES_HEADER, "").strip())):
            name, _, value = (text.strip() for text in pair.partition("="))
            if name != "explain":
                given.append((name, value, "custom attributes"))
            else:  # it chose the kind of request, in the front door, if that could read it
                _truth("explain", value)
    for option in TABLE:
        if (value_of := headers.get(option.header.lower())) is not None:
            given.append((option.name, value_of, "header"))
    return given


def parse(given: list[Given], kind: str) -> Options:
    """Check the options of one request.

    Raises:
        UnknownOption: a name that this kind of request does not have.
        BadOption: a value it cannot have, or one option with two values.
    """
    names = accepted(kind)
    values: dict[str, str] = {}
    for name, value, where in given:
        if name not in names:
            raise UnknownOption(f"unknown option {name[:40]!r} ({where}): {kind} has {', '.join(names)}")
        if not isinstance(value, str | int | float):
            raise BadOption(f"option {name!r} is of type {type(value).__name__} ({where}): give one value")
        text = value.strip() if isinstance(value, str) else str(value).lower()  # JSON's true is Python's True
        if values.setdefault(name, text) != text:
            raise BadOption(f"option {name!r} is given as {values[name]!r:.60} and as {text!r:.60}: give it once")
    return Options(
        top_k=_top_k(values.get("top_k", str(DEFAULT_TOP_K))),
        timing=_truth("timing", values.get("timing", "false")),
        method=values.get("method", "ig"),
        target=values.get("target"),
    )


def _top_k(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise BadOption(f"top_k is {text!r:.60}: it must be a whole number from 1 to 999999")
    return int(text)


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise BadOption(f"{name} is {text!r:.60}: it must be true or false")
    return text.lower() in ("true", "1")
