"""Parsing of one HTTP request into its kind, its images, its options, and the encoder of its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from handlers import metrics, options
from handlers.errors import BadJSON, BadOption, MissingImage, TooManyImages
from handlers.modalities.image.arrays import NPY_MAGIC, from_npy
from handlers.modalities.image.images import ImageInput
from handlers.options import ExplainOptions, PredictOptions, RawOption
from handlers.protocols import JSON, ResponseEncoder, forms, from_base64, headers, metadata, multipart, native, v1, v2
from handlers.protocols.multipart import Part
from handlers.protocols.native import NPY, NativeEncoder
from models.card import Limits

Kind = Literal["predict", "explain"]
# The header in which the proxy names the route that the client used.
ROUTE_HEADER = "x-torchlight-route"
# The content type of a multipart body. The proxy sends the body as a plain one, so that the server leaves it whole.
MULTIPART_HEADER = "x-torchlight-multipart"
# The mark of a copy of a request, for the comparison of two versions (serving/rollout/shadow/). It is not counted.
SHADOW_HEADER = "x-torchlight-shadow"
# Makes the response to an explanation the bare maps, whatever the protocol. Copies may have it. The proxy removes both
# headers from requests of clients.
MAPS_HEADER = "x-torchlight-maps"
BODY = "body"
# Types of a body that the server did not decode. A server that decodes JSON hands over its result.
_ENCODED = (bytes, bytearray, str)


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as TorchServe passes it on. Header names are in lower case.

    Attributes:
        request_id: the server's own, for a request that brings none.
        queue_seconds: from the proxy to here, if that is known.
    """

    kind: Kind
    parts: tuple[Part, ...]
    headers: Mapping[str, str]
    request_id: str = ""
    queue_seconds: float | None = None

    @property
    def route(self) -> str:
        """The route: v1, v2, invocations; v1-ready, v2-ready, v2-metadata; or nothing: /predictions, /explanations."""
        return self.headers.get(ROUTE_HEADER, "")

    @property
    def is_metadata(self) -> bool:
        """True if the request is about the model and sends no image."""
        return self.route in metadata.ROUTES

    @property
    def is_copy(self) -> bool:
        """True if the request is a copy of a client's request."""
        return SHADOW_HEADER in self.headers

    @property
    def counted_kind(self) -> metrics.Kind:
        """The kind of the request in metrics."""
        return "metadata" if self.is_metadata else self.kind


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request.

    Attributes:
        images: each with a name for error messages.
        encoder: of its response.
    """

    kind: Kind
    images: tuple[tuple[str, ImageInput], ...]
    options: PredictOptions
    encoder: ResponseEncoder


def parse(raw: RawRequest, limits: Limits, *, has_uncertainty: bool = False) -> Request:
    """Parse a request: raw bytes, .npy, multipart with one or more images, or JSON in one of three shapes.

    Args:
        has_uncertainty: whether answers contain uncertainty, which v2 has additional outputs for.

    Raises:
        RequestError: the request is not valid; see handlers/errors.py.
    """
    try:
        return _parse(raw, limits, has_uncertainty)
    except RecursionError:  # hundreds of lists or objects within each other
        raise BadJSON("the JSON is nested too deeply") from None


def _parse(raw: RawRequest, limits: Limits, has_uncertainty: bool) -> Request:
    raw_options = headers.read_options(raw.headers, raw.route)
    images: list[tuple[str, ImageInput]] = []
    encoder: ResponseEncoder | None = None
    parts = _parts(raw)
    encoding, fields = forms.charset(parts), list[tuple[str, Any]]()
    for part in parts:
        name = part.name.partition("#")[0]
        content_type = part.content_type.partition(";")[0].strip().lower()
        binary_length = raw.headers.get(v2.LENGTH_HEADER.lower())
        if binary_length is not None and raw.route != "v1" and part.name == BODY and isinstance(part.content, _ENCODED):
            encoded, binary = v2.split(_bytes(part.content), binary_length)
            document = _document(encoded, limits)
            part_images, part_options, encoder = v2.parse(
                document, binary, raw.kind, limits, has_uncertainty=has_uncertainty
            )
        elif name in options.NAMES:
            part_images, part_options = [], []
            fields.append((name, _option(part, encoding)))
        elif part.is_field and (text := forms.text(part, encoding)) is not None:
            part_images, part_options = _field(part.name, text, raw.kind), []
        elif _is_json(part, content_type) or raw.route in ("v1", "v2"):
            document = _document(part.content, limits)
            part_images, part_options, part_encoder = _parse_json(document, raw, limits, has_uncertainty)
            encoder = part_encoder or encoder
        else:
            part_images, part_options = _parse_file(part, content_type, limits), []
        images += part_images
        raw_options += part_options
    raw_options += forms.filled_options(fields)
    if not images:
        raise MissingImage("no image was sent: send the bytes of a JPEG, PNG or WebP file as the body")
    if len(images) > limits.max_images:
        raise TooManyImages(f"{len(images)} images: at most {limits.max_images} go into one request")
    chosen = options.parse(raw_options, raw.kind)
    output = chosen.output if isinstance(chosen, ExplainOptions) else None
    if raw.kind == "explain" and MAPS_HEADER in raw.headers:
        encoder = NativeEncoder("npy")
    elif encoder is None:
        accept = raw.headers.get("accept", "")
        encoder = NativeEncoder(native.negotiate(accept, raw.kind, len(images), output))
    elif output not in (None, "json"):
        raise BadOption(f"output is {output!r}: v1 and v2 answer in JSON alone, and /explanations in all forms")
    return Request(raw.kind, tuple(images), chosen, encoder)


def _parts(raw: RawRequest) -> tuple[Part, ...]:
    content_type = raw.headers.get(MULTIPART_HEADER)
    if content_type is None or raw.route in ("v1", "v2") or not raw.parts:
        return raw.parts
    return tuple(multipart.parse(_bytes(raw.parts[0].content), content_type))


def _is_json(part: Part, content_type: str) -> bool:
    """Return whether a part is JSON by its type, or by its first byte: `curl -d '{...}'` calls it a form."""
    if isinstance(part.content, dict) or content_type == JSON:
        return True
    return (
        content_type in ("", "application/octet-stream", "text/plain")
        and _bytes(part.content)[:64].lstrip()[:1] == b"{"
    )


def _parse_json(
    document: dict[str, Any], raw: RawRequest, limits: Limits, has_uncertainty: bool
) -> tuple[list[tuple[str, ImageInput]], list[RawOption], ResponseEncoder | None]:
    """Parse a JSON body by its shape. On the routes of V1 and V2 it must have the shape of the protocol."""
    if raw.route == "v2" or (raw.route != "v1" and "inputs" in document):
        return v2.parse(document, b"", raw.kind, limits, has_uncertainty=has_uncertainty)
    if raw.route == "v1" or "instances" in document:
        return v1.parse(document, raw.kind, limits)
    return *native.parse(document), None


def _parse_file(part: Part, content_type: str, limits: Limits) -> list[tuple[str, ImageInput]]:
    content = _bytes(part.content)
    if content_type == NPY or content.startswith(NPY_MAGIC):
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
        raise BadJSON(f"the JSON body is not an object: send {native.SHAPES}")
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
    """Return the value of a field: text, or the value that TorchServe decoded from a JSON field."""
    if not isinstance(part.content, bytes | bytearray):
        return part.content
    text = forms.text(part, encoding)
    return bytes(part.content).decode("utf-8", "replace") if text is None else text


def _field(name: str, text: str, kind: str) -> list[tuple[str, ImageInput]]:
    """Return the image of a text field that contains a data URL, as from a canvas; other fields are ignored."""
    if text.startswith("data:image/"):
        return [(name, from_base64(text, f"field {name!r:.40}"))]
    forms.check_name(name, kind)
    return []
