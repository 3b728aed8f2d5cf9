"""The options of a request: one table, whether they come as query, header, multipart field or JSON member.

| option  | header           | predict | explain | value                                            |
|---------|------------------|---------|---------|--------------------------------------------------|
| top_k   | X-Top-K          | yes     | yes     | how many classes to list, 1 or more (default: 5) |
| method  | X-Explain-Method | no      | yes     | the attribution method (default: ig)             |
| target  | X-Target         | no      | yes     | the class to explain, by label or else by index  |

Without a target the predicted class is explained.

TorchServe drops the query of a POST, so the front door hands it on in the header X-Torchlight-Query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from handlers.errors import BadOption, UnknownOption

QUERY_HEADER = "x-torchlight-query"
_HEADERS = {"top_k": "x-top-k", "method": "x-explain-method", "target": "x-target"}
_PREDICT = ("top_k",)
NAMES = tuple(_HEADERS)
DEFAULT_TOP_K = 5

Given = tuple[str, Any, str]  # name, value, where it stood


@dataclass(frozen=True, slots=True)
class Options:
    """What one request asks for. `target` stays as it was written: only the card knows which classes there are."""

    top_k: int = DEFAULT_TOP_K
    method: str = "ig"
    target: str | None = None


def from_headers(headers: Mapping[str, str]) -> list[Given]:
    """The options that stand in the query and in headers. Header names must be in lower case."""
    query = headers.get(QUERY_HEADER, "")
    given: list[Given] = [(name, value, "query") for name, value in parse_qsl(query, keep_blank_values=True)]
    given += [(name, headers[header], "header") for name, header in _HEADERS.items() if header in headers]
    return given


def parse(given: list[Given], kind: str) -> Options:
    """Check the options of one request.

    Raises:
        UnknownOption: a name that this kind of request does not have.
        BadOption: a value it cannot have, or one option with two values.
    """
    accepted = _PREDICT if kind == "predict" else NAMES
    values: dict[str, str] = {}
    for name, value, where in given:
        if name not in accepted:
            raise UnknownOption(f"unknown option {name[:40]!r} ({where}): {kind} has {', '.join(accepted)}")
        text = value.strip() if isinstance(value, str) else str(value)
        if values.setdefault(name, text) != text:
            raise BadOption(f"option {name!r} is given as {values[name]!r:.60} and as {text!r:.60}: give it once")
    return Options(
        top_k=_top_k(values.get("top_k", str(DEFAULT_TOP_K))),
        method=values.get("method", "ig"),
        target=values.get("target"),
    )


def _top_k(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) >= 1):
        raise BadOption(f"top_k is {text!r:.60}: it must be a whole number of 1 or more")
    return int(text)
