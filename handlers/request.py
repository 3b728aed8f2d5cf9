"""What was asked: the bytes and headers of one HTTP request -> its kind, its images and its options."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from handlers import options
from handlers.errors import BadJSON, NoImage
from handlers.options import Options

Kind = Literal["predict", "explain"]
BODY = "body"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body, or the whole of any other body (then its name is `body`).

    `content` is bytes; a server that decodes JSON and text by itself may hand over its result.
    """

    name: str
    content: Any
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the server hands it over. Header names are in lower case."""

    kind: Kind
    parts: tuple[Part, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is understood: encoded images, each with a name for error messages, and the options."""

    kind: Kind
    images: tuple[tuple[str, bytes], ...]
    options: Options


def parse(incoming: Incoming) -> Request:
    """Understand a request: raw bytes, multipart with one or more images, or JSON `{"image": base64}`.

    Raises:
        NoImage, BadJSON, UnknownOption, BadOption: it cannot be understood.
    """
    given = options.from_headers(incoming.headers)
    images: list[tuple[str, bytes]] = []
    for part in incoming.parts:
        name = part.name.partition("#")[0]
        if part.content_type.partition(";")[0].strip().lower() == "application/json" or isinstance(part.content, dict):
            document = _document(part.content)
            images.append(("image", _base64(document.pop("image"))))
            given += [(key, value, "JSON") for key, value in document.items()]
        elif name in options.NAMES:
            given.append((name, _text(part.content), "multipart"))
        else:
            images.append((part.name, _bytes(part.content)))
    if not images:
        raise NoImage("no image was sent: send the bytes of a JPEG, PNG or WebP file as the body")
    return Request(incoming.kind, tuple(images), options.parse(given, incoming.kind))


def _document(content: Any) -> dict[str, Any]:
    document = content
    if not isinstance(content, dict):
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise BadJSON(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict) or "image" not in document:
        found = f"has {', '.join(map(str, document)) or 'no members'}" if isinstance(document, dict) else "is no object"
        raise BadJSON(f'the JSON body {found:.200}: send {{"image": "<base64 of the file>"}}, with options as members')
    return dict(document)


def _base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise BadJSON(f"member 'image' is {type(value).__name__}: it must be a string, the base64 of the file")
    encoded = value.partition(",")[2] if value.startswith("data:") else value
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJSON(f"member 'image' is not base64 ({error}); it begins with {value[:24]!r}") from None


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else bytes(content).decode("utf-8", "replace")
