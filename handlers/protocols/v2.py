"""The Open Inference Protocol, v2, over HTTP, with Triton's binary tensor data extension.

One input tensor holds the images: BYTES [n] of encoded files, or pixels as UINT8 or FP32 [n, h, w, c] and the other
shapes of handlers/modalities/image/arrays.py. The outputs are `label` BYTES [n, k], `index` INT64 [n, k] and
`probability` FP32 [n, k];
if the card has `uncertainty`, `set` BYTES [n] (the JSON text of a list), `ood_score` FP32 [n], `decision` BYTES [n] and
`reason` BYTES [n] (empty for none); and for explanations `explanation` BYTES [n], the JSON text of each.

Source: the Open Inference Protocol specification, "Inference"; Triton, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from handlers.decision import Uncertainty
from handlers.errors import BadJSON, BadTensor, TooManyImages, UnknownOption
from handlers.explain.explanation import Explanation
from handlers.modalities.image.arrays import numbers, pictures
from handlers.protocols import BINARY, Content, Picture, Result, from_base64
from handlers.protocols.native import draw, members
from models.card import Card, Limits

LENGTH_HEADER = "Inference-Header-Content-Length"
# The datatypes that pixels may have, as little-endian numpy types.
PIXELS = {"UINT8": "<u1", "UINT16": "<u2", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
# Outputs and their datatypes: of shape [n, k]; and of shape [n], from models whose card has `uncertainty`.
OUTPUTS = {"label": "BYTES", "index": "INT64", "probability": "FP32"}
UNCERTAINTY_OUTPUTS = {"set": "BYTES", "ood_score": "FP32", "decision": "BYTES", "reason": "BYTES"}
EXPLANATION = "explanation"
# Instead of a dimension of a shape: as large as the data makes it.
FREE = -1
# Of requests and requested outputs: they say how to send, not what.
_BINARY_OUTPUT, _BINARY_DATA = "binary_data_output", "binary_data"


def split(body: bytes, length: str) -> tuple[bytes, bytes]:
    """The JSON and the binary data of a body, by the header that says how long the JSON is.

    Raises:
        BadTensor: the header is no length within the body.
    """
    if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(body)):
        raise BadTensor(
            f"{LENGTH_HEADER} is {length!r:.40}: it must be the length of the JSON, and the body has {len(body)}"
        )
    return body[: int(length)], body[int(length) :]


def parse(
    document: dict[str, Any], binary: bytes, kind: str, limits: Limits, *, has_uncertainty: bool = False
) -> tuple[list[tuple[str, Picture]], list[tuple[str, Any, str]], V2Reply]:
    """Take a document with `inputs` apart: images, options, and how to answer.

    Args:
        trusted: whether the outputs UNCERTAINTY_OUTPUTS are there.

    Raises:
        BadJSON: it is none.
        BadTensor, ImageTooLarge, TooManyImages: the tensor holds no images.
        UnknownOption: an output that there is not.
    """
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadJSON('member \'inputs\' must be a list of one tensor: {"name", "shape", "datatype", "data"}')
    images = _images(inputs[0], binary, limits)
    parameters = document.get("parameters", {})
    identity = document.get("id", "")
    if not isinstance(parameters, dict) or not isinstance(identity, str):
        raise BadJSON("member 'parameters' must be an object with options, and 'id' a string")
    identity = identity[:200].encode("utf-8", "replace").decode("utf-8")  # it is sent back, so it must be text
    given = [(name, value, "parameters") for name, value in parameters.items() if name != _BINARY_OUTPUT]
    there = (
        *OUTPUTS,
        *(UNCERTAINTY_OUTPUTS if has_uncertainty else ()),
        *((EXPLANATION,) if kind == "explain" else ()),
    )
    outputs = _outputs(document.get("outputs"), there, binary=parameters.get(_BINARY_OUTPUT) is True)
    return [(f"image {n}", image) for n, image in enumerate(images)], given, V2Reply(identity, outputs)


def _images(tensor: dict[str, Any], binary: bytes, limits: Limits) -> list[Picture]:
    shape, datatype, parameters = _shape(tensor), tensor.get("datatype"), tensor.get("parameters", {})
    if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in PIXELS):
        raise BadTensor(f"the tensor's datatype is {datatype!r:.40}: BYTES for files, for pixels {', '.join(PIXELS)}")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None and binary:
        raise BadTensor(f"{len(binary)} bytes follow the JSON, and no tensor has a parameter binary_data_size")
    if size is not None and (type(size) is not int or size != len(binary)):
        raise BadTensor(f"binary_data_size is {size!r:.40}, and {len(binary)} bytes follow the JSON")
    if (size is None) == ("data" not in tensor):
        raise BadTensor("the tensor must have either a member 'data' or a parameter binary_data_size")
    if datatype == "BYTES":
        return _files(shape, binary if size is not None else tensor["data"], limits)
    dtype = np.dtype(PIXELS[datatype])
    if size is not None:
        shape = _filled(shape, size // dtype.itemsize)
        count = math.prod(shape)
        if size != count * dtype.itemsize:
            raise BadTensor(f"a tensor {shape} of {datatype} has {count * dtype.itemsize} bytes, and {size} were sent")
        return list(pictures(np.frombuffer(binary, dtype).reshape(shape), limits))
    try:
        values = numbers(tensor["data"])
        shape = _filled(shape, values.size)
        fits = values.size == math.prod(shape)
    except (ValueError, TypeError):
        fits = False
    if not fits:
        count = math.prod(_filled(shape, 0))
        raise BadTensor(f"member 'data' must be {count:,} numbers, for shape {shape}, flat or nested")
    if dtype.kind == "u" and (values.dtype.kind == "f" or values.min() < 0 or values.max() > np.iinfo(dtype).max):
        raise BadTensor(f"member 'data' holds numbers that are no {datatype}")
    with np.errstate(over="ignore"):  # beyond the type is infinite, and out of range for a pixel
        return list(pictures(values.astype(dtype).reshape(shape), limits))


def _shape(tensor: dict[str, Any]) -> list[int]:
    """Return the shape of a tensor, in which one dimension may be -1; the number -1 alone is a list of it.

    Raises:
        BadTensor: it is no shape.
    """
    shape = tensor.get("shape")
    sizes = [shape] if type(shape) is int and shape == FREE else shape
    if (
        not isinstance(sizes, list)
        or not 0 < len(sizes) <= 4
        or not all(type(n) is int and (n == FREE or 0 < n < 2**31) for n in sizes)
        or sizes.count(FREE) > 1
    ):
        raise BadTensor(
            f"the tensor's shape is {shape!r:.60}: it must be a list of 1 to 4 whole numbers above 0; one may be -1"
        )
    return sizes


def _filled(shape: list[int], total: int) -> list[int]:
    """Return the shape with the dimension -1 as large as a total of elements makes it."""
    fixed = math.prod(n for n in shape if n != FREE)
    return [max(total // fixed, 1) if n == FREE else n for n in shape]


def _files(shape: list[int], data: Any, limits: Limits) -> list[Picture]:
    """Return the elements of a BYTES tensor: binary data, or base64 as nested lists or one string.

    Raises:
        BadJSON, BadTensor, TooManyImages: they are no files, or not as many as the shape says.
    """
    fixed = math.prod(n for n in shape if n != FREE)
    if fixed > limits.max_images:
        raise TooManyImages(f"the tensor holds {fixed:,} images: at most {limits.max_images} go into one request")
    if isinstance(data, bytes):
        elements, spare_bytes = _elements(data, limits.max_images + 1)
        count = math.prod(_filled(shape, len(elements)))
        if (len(elements), spare_bytes) != (count, 0) and len(elements) <= limits.max_images:
            raise BadTensor(f"the binary data is not {count} elements, each its length in 4 bytes and as many bytes")
    else:
        elements = [data] if isinstance(data, str) else data
        while isinstance(elements, list) and elements and all(isinstance(inner, list) for inner in elements):
            elements = [element for inner in elements for element in inner]
        count = math.prod(_filled(shape, len(elements))) if isinstance(elements, list) else fixed
        if not isinstance(elements, list) or len(elements) != count:
            raise BadTensor(f"member 'data' must be a list of {count} strings, as many as the shape says")
    if count > limits.max_images:
        raise TooManyImages(f"the tensor holds {count:,} images: at most {limits.max_images} go into one request")
    if isinstance(data, bytes):
        return elements
    return [from_base64(element, f"element {place} of 'data'") for place, element in enumerate(elements)]


def _elements(binary: bytes, limit: int) -> tuple[list[Any], int]:
    """Return the elements of a BYTES tensor and how many bytes are left over.

    Each is a 4-byte little-endian length and as many bytes. After `limit` elements the others are left over.
    """
    elements: list[Any] = []
    start = 0
    while start + 4 <= len(binary) and len(elements) < limit:
        (length,) = struct.unpack_from("<I", binary, start)
        if start + 4 + length > len(binary):
            break
        elements.append(binary[start + 4 : start + 4 + length])
        start += 4 + length
    return elements, len(binary) - start


def _outputs(asked: Any, there: Sequence[str], *, binary: bool) -> dict[str, bool]:
    """Which of the outputs that are there to answer, and whether each goes as binary data."""
    if asked is None or asked == []:
        return dict.fromkeys(there, binary)
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise BadJSON("member 'outputs' must be a list of {\"name\"}")
    found = {}
    for one in asked:
        name, parameters = one.get("name"), one.get("parameters", {})
        if name not in there:
            raise UnknownOption(f"unknown output {name!r:.40}: there are {', '.join(there)}")
        unknown = set(parameters) - {_BINARY_DATA} if isinstance(parameters, dict) else {str(parameters)}
        if unknown:
            raise UnknownOption(f"unknown parameter {min(unknown)!r:.40} of output {name}: there is {_BINARY_DATA}")
        found[name] = parameters.get(_BINARY_DATA, binary) is True
    return found


@dataclass(frozen=True, slots=True)
class V2Reply:
    """`outputs` says which to send, and whether as binary data."""

    identity: str
    outputs: dict[str, bool]

    @property
    def pictures(self) -> bool:
        """They are in the output `explanation`."""
        return EXPLANATION in self.outputs

    def draw(self, explained: Explanation) -> int:
        """As for our own JSON."""
        return draw(explained)

    def answer(self, card: Card, request_id: str, results: Sequence[Result]) -> Content:
        """The outputs, one row for each image."""
        shape = [len(results), len(results[0].predictions)]
        tensors, blobs = [], []
        for name, binary in self.outputs.items():
            tensor, values = _tensor(name, shape, results)
            if binary:
                blobs.append(_binary(tensor["datatype"], values))
                tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                tensor["data"] = values
            tensors.append(tensor)
        body = orjson.dumps(
            {
                "model_name": card.name,
                "model_version": card.version,
                "id": self.identity or request_id,
                "outputs": tensors,
            }
        )
        if not blobs:
            return Content(body)
        return Content(body + b"".join(blobs), BINARY, ((LENGTH_HEADER, str(len(body))),))


def _tensor(name: str, shape: list[int], results: Sequence[Result]) -> tuple[dict[str, Any], list[Any]]:
    if name == EXPLANATION:
        texts = [orjson.dumps(members(result)).decode() for result in results]
        return {"name": name, "datatype": "BYTES", "shape": shape[:1]}, texts
    if name in UNCERTAINTY_OUTPUTS:
        judged = [result.uncertainty for result in results if result.uncertainty is not None]
        return {"name": name, "datatype": UNCERTAINTY_OUTPUTS[name], "shape": shape[:1]}, [
            _judged(name, one) for one in judged
        ]
    values = [found[name] for result in results for found in result.predictions]
    return {"name": name, "datatype": OUTPUTS[name], "shape": shape}, values


def _judged(name: str, uncertainty: Uncertainty) -> str | float:
    match name:
        case "set":
            return orjson.dumps(uncertainty.set).decode()
        case "ood_score":
            return uncertainty.score
        case "decision":
            return uncertainty.decision
    return uncertainty.reason or ""


def _binary(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(element)) + element for element in encoded)
    return np.array(values, {"INT64": "<i8", "FP32": "<f4"}[datatype]).tobytes()


def metadata(card: Card) -> dict[str, Any]:
    """What a client may ask of a model before it sends anything (`GET /v2/models/<model>`)."""
    k = -1  # as many as top_k asks for
    outputs = [{"name": name, "datatype": datatype, "shape": [-1, k]} for name, datatype in OUTPUTS.items()]
    if card.uncertainty is not None:
        outputs += [
            {"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in UNCERTAINTY_OUTPUTS.items()
        ]
    return {
        "name": card.name,
        "versions": [card.version],
        "platform": "pytorch_torchserve",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": outputs,
    }
