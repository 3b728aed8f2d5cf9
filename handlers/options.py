"""The options of a request, wherever they stand: handlers/table.py says which there are.

An option may come as query parameter, header, multipart field or JSON member, and on /invocations in SageMaker's custom
attributes.

TorchServe drops the query of a POST, so the proxy hands it on in the header X-Torchlight-Query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import orjson

from handlers.errors import BadOption, UnknownOption
from handlers.explain.rendering.colormaps import Sign
from handlers.explain.rendering.overlay import Resolution
from handlers.protocols import header_text
from handlers.table import DEFAULT_NEIGHBORS, DEFAULT_TOP_K, TABLE, Option

QUERY_HEADER = "x-torchlight-query"
# SageMaker passes these on to the container as they were sent; here `top_k=3;explain=true`.
ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"

Given = tuple[str, Any, str]  # name, value, where it stood
TRUE, FALSE = ("true", "1", "on"), ("false", "0", "off")
_HEADERS = tuple((option.name, option.header.lower()) for option in TABLE)


@dataclass(frozen=True, slots=True)
class Options:
    """What one request asks for; None where it does not say. `target` and `contrast` stay as they were written."""

    top_k: int = DEFAULT_TOP_K
    timing: bool = False
    method: str | None = None
    target: str | None = None
    contrast: tuple[str, str] | None = None
    steps: int | None = None
    baseline: str | None = None
    smoothgrad_samples: int = 0
    deadline_ms: int | None = None
    faithfulness: bool = False
    counterfactual: bool = False
    neighbors: int = DEFAULT_NEIGHBORS
    output: str | None = None
    sign: Sign = "both"
    alpha: float | None = None
    colormap: str | None = None
    resolution: Resolution = "original"


_NONE = Options()


@cache
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
                given.append((name, header_text.decode(value, name), "custom attributes"))
            else:  # it chose the kind of request, in the proxy, if that could read it
                truth("explain", value)
    given += [(name, _header(headers[header], name), "header") for name, header in _HEADERS if header in headers]
    return given


def _header(value: str, name: str) -> Any:
    """Return a header's value as text; of a contrast, two texts, each of which may hold an encoded comma."""
    labels = value.split(",")
    if name == "contrast" and len(labels) == 2 and not header_text.is_extended(value) and value.strip()[:1] != "[":
        return [header_text.decode(label, name).strip() for label in labels]
    return header_text.decode(value, name)


def parse(given: list[Given], kind: str) -> Options:
    """Check the options of one request.

    Raises:
        UnknownOption: a name that this kind of request does not have.
        BadOption: a value it cannot have, or one option with two values.
    """
    if not given:
        return _NONE
    names = accepted(kind)
    values: dict[str, str] = {}
    for name, value, where in given:
        if name not in names:
            raise UnknownOption(f"unknown option {name[:40]!r} ({where}): {kind} has {', '.join(names)}")
        text = _text(name, value, where)
        if values.setdefault(name, text) != text:
            raise BadOption(f"option {name!r} is given as {values[name]!r:.60} and as {text!r:.60}: give it once")
    return Options(**{option.name: _value(option, values[option.name]) for option in TABLE if option.name in values})


def _text(name: str, value: Any, where: str) -> str:
    """A value as it would be written in a query."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and name == "contrast" and all(isinstance(one, str | int) for one in value):
        return orjson.dumps([str(one) for one in value]).decode()
    if not isinstance(value, int | float):
        raise BadOption(f"option {name!r} is of type {type(value).__name__} ({where}): give one value")
    return str(value).lower()  # JSON's true is Python's True


def _value(option: Option, text: str) -> Any:
    """The text as the type that the option's schema has.

    Raises:
        BadOption: it is none of that type, or out of bounds.
    """
    name, schema = option.name, option.schema
    if "enum" in schema and text not in schema["enum"]:
        raise BadOption(f"{name} {text!r:.60} does not exist: there is {', '.join(schema['enum'])}")
    match schema["type"]:
        case "boolean":
            return truth(name, text)
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
                raise BadOption(f"{name} is {text!r:.60}: it must be a whole number from {least} to {most}")
            return int(text)
        case "number":
            least, most = schema["minimum"], schema["maximum"]
            if not re.fullmatch(r"\d{1,9}(\.\d{0,9})?", text, re.ASCII) or not least <= float(text) <= most:
                raise BadOption(f"{name} is {text!r:.60}: it must be a number from {least} to {most}")
            return float(text)
        case "array":
            return _pair(name, text)
    return text


def _pair(name: str, text: str) -> tuple[str, str]:
    """Two values: `A,B`, or a JSON list where one of them has a comma in it."""
    try:
        parts = orjson.loads(text) if text.startswith("[") else text.split(",")
    except orjson.JSONDecodeError:
        parts = []
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(one, str | int) for one in parts):
        raise BadOption(f'{name} is {text!r:.60}: it must be two classes, as A,B or ["A", "B"]')
    first, second = (str(one).strip() for one in parts)
    return first, second


def truth(name: str, text: str) -> bool:
    """Return what a switch says; `on` is what a form's checkbox sends.

    Raises:
        BadOption: it says neither.
    """
    if text.lower() not in (*TRUE, *FALSE):
        raise BadOption(f"{name} is {text!r:.60}: it must be true or false")
    return text.lower() in TRUE
