"""What was asked: the bytes and headers of one HTTP request -> its kind, images, options, and how to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from handlers import multipart, options, table
from handlers.errors import BadJSON, BadOption, MissingImage, TooManyImages
from handlers.modalities.image.arrays import NPY_MAGIC, from_npy
from handlers.multipart import Part
from handlers.options import Given, Options
from handlers.protocols import JSON, Picture, Reply, forms, from_base64, native, v1, v2
from handlers.protocols.native import NPY, NativeReply
from models.card import Limits

Kind = Literal["predict", "explain"]
# Which road the client took; the proxy says so in the header X-Torchlight-Route.
ROUTE_HEADER = "x-torchlight-route"
# The content type of a multipart body, which comes as a plain one, so that the server leaves it whole.
MULTIPART_HEADER = "x-torchlight-multipart"
BODY = "body"
# A server that decodes JSON by itself hands over anything else that JSON can be.
_ENCODED = (bytes, bytearray, str)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the server hands it over. Header names are in lower case.

    Attributes:
        request_id: the server's own, for a request that brings none.
        waited: seconds from the proxy to here, where that is known.
    """

    kind: Kind
    parts: tuple[Part, ...]
    headers: Mapping[str, str]
    request_id: str = ""
    waited: float | None = None

    @property
    def route(self) -> str:
        """v1, v2, invocations; v1-ready, v2-ready, v2-metadata; or nothing for /predictions and /explanations."""
        return self.headers.get(ROUTE_HEADER, "")


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is understood: images, each with a name for error messages, options, and how to answer."""

    kind: Kind
    images: tuple[tuple[str, Picture], ...]
    options: Options
    reply: Reply


def parse(incoming: Incoming, limits: Limits, *, has_uncertainty: bool = False) -> Request:
    """Understand a request: raw bytes, .npy, multipart with one or more images, or JSON in one of three shapes.

    Args:
        trusted: whether answers come with uncertainty, which v2 has outputs of its own for.

    Raises:
        RequestError: it cannot be understood; see handlers/errors.py.
    """
    try:
        return _understood(incoming, limits, has_uncertainty)
    except RecursionError:  # hundreds of lists or objects within each other
        raise BadJSON("the JSON is nested too deeply") from None


def _understood(incoming: Incoming, limits: Limits, has_uncertainty: bool) -> Request:
    given = options.from_headers(incoming.headers, incoming.route)
    images: list[tuple[str, Picture]] = []
    reply: Reply | None = None
    parts = _parts(incoming)
    encoding, fields = forms.charset(parts), list[tuple[str, Any]]()
    for part in parts:
        name = part.name.partition("#")[0]
        kind = part.content_type.partition(";")[0].strip().lower()
        binary_length = incoming.headers.get(v2.LENGTH_HEADER.lower())
        if (
            binary_length is not None
            and incoming.route != "v1"
            and part.name == BODY
            and isinstance(part.content, _ENCODED)
        ):
            document = v2.split(_bytes(part.content), binary_length)
            head = _document(document[0], limits)
            found, more, reply = v2.parse(head, document[1], incoming.kind, limits, has_uncertainty=has_uncertainty)
        elif name in table.NAMES:
            found, more = [], []
            fields.append((name, _option(part, encoding)))
        elif part.is_field and (text := forms.text(part, encoding)) is not None:
            found, more = _field(part.name, text, incoming.kind), []
        elif _is_json(part, kind) or incoming.route in ("v1", "v2"):
            found, more, shaped = _shaped(_document(part.content, limits), incoming, limits, has_uncertainty)
            reply = shaped or reply
        else:
            found, more = _plain(part, kind, limits), []
        images += found
        given += more
    given += forms.filled_options(fields)
    if not images:
        raise MissingImage("no image was sent: send the bytes of a JPEG, PNG or WebP file as the body")
    if len(images) > limits.max_images:
        raise TooManyImages(f"{len(images)} images: at most {limits.max_images} go into one request")
    chosen = options.parse(given, incoming.kind)
    if reply is None:
        accept = incoming.headers.get("accept", "")
        reply = NativeReply(native.negotiate(accept, incoming.kind, len(images), chosen.output))
    elif chosen.output not in (None, "json"):
        raise BadOption(f"output is {chosen.output!r}: v1 and v2 answer in JSON alone, and /explanations in all forms")
    return Request(incoming.kind, tuple(images), chosen, reply)


def _parts(incoming: Incoming) -> tuple[Part, ...]:
    kind = incoming.headers.get(MULTIPART_HEADER)
    if kind is None or incoming.route in ("v1", "v2") or not incoming.parts:
        return incoming.parts
    return tuple(multipart.parse(_bytes(incoming.parts[0].content), kind))


def _is_json(part: Part, kind: str) -> bool:
    """By its type, or where that says nothing by its first byte: `curl -d '{...}'` calls it a form."""
    if isinstance(part.content, dict) or kind == JSON:
        return True
    return kind in ("", "application/octet-stream", "text/plain") and _bytes(part.content)[:64].lstrip()[:1] == b"{"


def _shaped(
    document: dict[str, Any], incoming: Incoming, limits: Limits, has_uncertainty: bool
) -> tuple[list[tuple[str, Picture]], list[Given], Reply | None]:
    """A JSON body by its shape; on the roads of v1 and v2 it has to have theirs."""
    if incoming.route == "v2" or (incoming.route != "v1" and "inputs" in document):
        return v2.parse(document, b"", incoming.kind, limits, has_uncertainty=has_uncertainty)
    if incoming.route == "v1" or "instances" in document:
        return v1.parse(document, incoming.kind, limits)
    return *native.parse(document), None


def _plain(part: Part, kind: str, limits: Limits) -> list[tuple[str, Picture]]:
    content = _bytes(part.content)
    if kind == NPY or content.startswith(NPY_MAGIC):
        return [(part.name, array) for array in from_npy(content, limits)]
    return [(part.name, content)]


def _document(content: Any, limits: Limits) -> dict[str, Any]:
    document = content
    if isinstance(content, _ENCODED):
        _check_lists(_bytes(content), limits)
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise BadJSON(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadJSON(f"the JSON body is no object: send {native.SHAPES}")
    return document


def _check_lists(encoded: bytes, limits: Limits) -> None:
    """Count lists and objects by their brackets: a parser makes an object of each, which takes far more memory.

    Raises:
        BadJSON: there are more than `max_json_lists`.
    """
    if len(encoded) <= limits.max_json_lists:
        return
    lists = encoded.count(b"[") + encoded.count(b"{")
    if lists > limits.max_json_lists:
        raise BadJSON(
            f"the JSON has {lists:,} lists and objects: at most {limits.max_json_lists:,} are accepted; send pixels as "
            f"a .npy file, or as the base64 of an image"
        )


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content or b"")


def _option(part: Part, encoding: str) -> Any:
    """The value of a field: text, or what the server decoded from a field that was sent as JSON."""
    if not isinstance(part.content, bytes | bytearray):
        return part.content
    text = forms.text(part, encoding)
    return bytes(part.content).decode("utf-8", "replace") if text is None else text


def _field(name: str, text: str, kind: str) -> list[tuple[str, Picture]]:
    """A text field that is no option: an image where it holds a data URL, as a canvas gives; else none of ours."""
    if text.startswith("data:image/"):
        return [(name, from_base64(text, f"field {name!r:.40}"))]
    forms.check_name(name, kind)
    return []
