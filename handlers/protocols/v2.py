"""The Open Inference Protocol, v2, over HTTP, with Triton's binary tensor data extension.

One input tensor holds the images: BYTES [n] of encoded files, or pixels as UINT8 or FP32 [n, h, w, c] and the other
shapes of handlers/modalities/image/arrays.py. The outputs are `label` BYTES [n, k], `index` INT64 [n, k] and
`probability` FP32 [n, k]; if the card has `uncertainty`, `set` BYTES [n] (the JSON text of a list, or null),
`ood_score` FP32 [n], `decision` BYTES [n], `reason` and `reason_detail` BYTES [n] (empty for none); and for
explanations `explanation` BYTES [n], the JSON text of each.

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
from handlers.modalities.image.arrays import numbers, pictures
from handlers.modalities.image.images import ImageInput
from handlers.protocols import BINARY, JSON, Explanation, Response, Result, from_base64
from handlers.protocols.native import members, render
from models.card import Card, Limits

LENGTH_HEADER = "Inference-Header-Content-Length"
# The datatypes that pixels may have, as little-endian numpy types.
PIXELS = {"UINT8": "<u1", "UINT16": "<u2", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
# Outputs of shape [n, k] and their datatypes; and those of shape [n], of models whose card has `uncertainty`.
OUTPUTS = {"label": "BYTES", "index": "INT64", "probability": "FP32"}
UNCERTAINTY_OUTPUTS = {
    "set": "BYTES",
    "ood_score": "FP32",
    "decision": "BYTES",
    "reason": "BYTES",
    "reason_detail": "BYTES",
}
EXPLANATION = "explanation"
# In a shape: a dimension that is as large as the data makes it.
FREE = -1
# Parameters of requests and of requested outputs that select binary data.
_BINARY_OUTPUT, _BINARY_DATA = "binary_data_output", "binary_data"


def split(body: bytes, length: str) -> tuple[bytes, bytes]:
    """Split a body into its JSON and its binary data, by the header with the length of the JSON.

    Raises:
        BadTensor: the header is not a length within the body.
    """
    if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(body)):
        raise BadTensor(
            f"{LENGTH_HEADER} is {length!r:.40}: it must be the length of the JSON, and the body has {len(body)}"
        )
    return body[: int(length)], body[int(length) :]


def parse(
    document: dict[str, Any], binary: bytes, kind: str, limits: Limits, *, has_uncertainty: bool = False
) -> tuple[list[tuple[str, ImageInput]], list[tuple[str, Any, str]], V2Encoder]:
    """Parse a document with `inputs` into images, options, and the encoder of the response.

    Args:
        has_uncertainty: whether the model has the outputs UNCERTAINTY_OUTPUTS.

    Raises:
        BadJSON: the document is not of the protocol's form.
        BadTensor, ImageTooLarge, TooManyImages: the tensor holds no images, or too many.
        UnknownOption: an output that the model does not have.
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
    options = [(name, value, "parameters") for name, value in parameters.items() if name != _BINARY_OUTPUT]
    available = (
        *OUTPUTS,
        *(UNCERTAINTY_OUTPUTS if has_uncertainty else ()),
        *((EXPLANATION,) if kind == "explain" else ()),
    )
    outputs = _outputs(document.get("outputs"), available, binary=parameters.get(_BINARY_OUTPUT) is True)
    return [(f"image {n}", image) for n, image in enumerate(images)], options, V2Encoder(identity, outputs)


def _images(tensor: dict[str, Any], binary: bytes, limits: Limits) -> list[ImageInput]:
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
        raise BadTensor(f"member 'data' holds numbers that are not {datatype}")
    with np.errstate(over="ignore"):  # beyond the type is infinite, and out of range for a pixel
        return list(pictures(values.astype(dtype).reshape(shape), limits))


def _shape(tensor: dict[str, Any]) -> list[int]:
    """Return the shape of a tensor, in which one dimension may be -1; the number -1 alone is a list of it.

    Raises:
        BadTensor: it is not a shape.
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


def _files(shape: list[int], data: Any, limits: Limits) -> list[ImageInput]:
    """Return the elements of a BYTES tensor: binary data, or base64 as nested lists or one string.

    Raises:
        BadJSON, BadTensor, TooManyImages: they are not files, or not as many as the shape says.
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
    return [from_base64(element, f"element {index} of 'data'") for index, element in enumerate(elements)]


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


def _outputs(requested: Any, available: Sequence[str], *, binary: bool) -> dict[str, bool]:
    """Return the available outputs that are requested, and whether each is sent as binary data."""
    if requested is None or requested == []:
        return dict.fromkeys(available, binary)
    if not isinstance(requested, list) or not all(isinstance(output, dict) for output in requested):
        raise BadJSON("member 'outputs' must be a list of {\"name\"}")
    outputs = {}
    for output in requested:
        name, parameters = output.get("name"), output.get("parameters", {})
        if name not in available:
            raise UnknownOption(f"unknown output {name!r:.40}: there are {', '.join(available)}")
        unknown = set(parameters) - {_BINARY_DATA} if isinstance(parameters, dict) else {str(parameters)}
        if unknown:
            raise UnknownOption(f"unknown parameter {min(unknown)!r:.40} of output {name}: there is {_BINARY_DATA}")
        outputs[name] = parameters.get(_BINARY_DATA, binary) is True
    return outputs


@dataclass(frozen=True, slots=True)
class V2Encoder:
    """Encoder of output tensors. `outputs` has those to send, and whether each is sent as binary data."""

    identity: str
    outputs: dict[str, bool]

    @property
    def renders(self) -> bool:
        """Return whether the output `explanation`, which has the pictures, is sent."""
        return EXPLANATION in self.outputs

    def render(self, explanation: Explanation) -> int:
        """Render the pictures of our own JSON."""
        return render(explanation)

    def encode(self, card: Card, request_id: str, results: Sequence[Result]) -> Response:
        """Encode the outputs, one row for each image."""
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
            return Response(body, {"content-type": JSON})
        return Response(body + b"".join(blobs), {"content-type": BINARY, LENGTH_HEADER: str(len(body))})


def _tensor(name: str, shape: list[int], results: Sequence[Result]) -> tuple[dict[str, Any], list[Any]]:
    if name == EXPLANATION:
        texts = [orjson.dumps(members(result)).decode() for result in results]
        return {"name": name, "datatype": "BYTES", "shape": shape[:1]}, texts
    if name in UNCERTAINTY_OUTPUTS:
        rows = [_row(name, result.uncertainty) for result in results if result.uncertainty is not None]
        return {"name": name, "datatype": UNCERTAINTY_OUTPUTS[name], "shape": shape[:1]}, rows
    values = [entry[name] for result in results for entry in result.predictions]
    return {"name": name, "datatype": OUTPUTS[name], "shape": shape}, values


def _row(name: str, uncertainty: Uncertainty) -> str | float:
    """Return the element of one of UNCERTAINTY_OUTPUTS for one image."""
    match name:
        case "set":
            return orjson.dumps(uncertainty.set).decode()
        case "ood_score":
            return uncertainty.score
        case "decision":
            return uncertainty.decision
        case "reason":
            return uncertainty.reason or ""
    return uncertainty.reason_detail or ""


def _binary(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(element)) + element for element in encoded)
    return np.array(values, {"INT64": "<i8", "FP32": "<f4"}[datatype]).tobytes()


def metadata(card: Card) -> dict[str, Any]:
    """Return the tensors that a model takes and returns (`GET /v2/models/<model>`)."""
    k = -1  # the option top_k
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
