"""A tensor's elements as raw bytes: little-endian numbers; for BYTES each element with its length before it.

That is the form of raw_input_contents, and of the binary tensor data extension over HTTP
(github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serving.grpc.open_inference_pb2 import InferTensorContents


@dataclass(frozen=True, slots=True)
class _Kind:
    field: str
    code: str  # of the module array


_KINDS = {
    "BOOL": _Kind("bool_contents", "B"),
    "INT8": _Kind("int_contents", "b"),
    "INT16": _Kind("int_contents", "h"),
    "INT32": _Kind("int_contents", "i"),
    "INT64": _Kind("int64_contents", "q"),
    "UINT8": _Kind("uint_contents", "B"),
    "UINT16": _Kind("uint_contents", "H"),
    "UINT32": _Kind("uint_contents", "I"),
    "UINT64": _Kind("uint64_contents", "Q"),
    "FP32": _Kind("fp32_contents", "f"),
    "FP64": _Kind("fp64_contents", "d"),
}
_BYTES_FIELD = "bytes_contents"


def pack(datatype: str, elements: Iterable[Any]) -> bytes:
    """Return elements, flattened in row-major order, as raw bytes. Text becomes its UTF-8 bytes.

    Raises:
        ValueError: the datatype is unknown, or an element does not fit it.
    """
    if datatype == "BYTES":
        packed = bytearray()
        for element in elements:
            content = element.encode() if isinstance(element, str) else element
            if not isinstance(content, bytes):
                raise ValueError(f"an element is {element!r:.40}, which is not text")
            packed += len(content).to_bytes(4, "little") + content
        return bytes(packed)
    kind = _KINDS.get(datatype)
    if kind is None:
        raise ValueError(f"datatype {datatype!r:.40} is unknown: use one of {', '.join(sorted([*_KINDS, 'BYTES']))}")
    try:
        numbers = array(kind.code, elements)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"an element does not fit {datatype} ({error})") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def pack_contents(datatype: str, contents: InferTensorContents) -> bytes:
    """Return the one filled field of `contents` as raw bytes.

    Raises:
        ValueError: no field or several fields are filled, the field does not fit the datatype, or an element does not.
    """
    filled = [field.name for field, _ in contents.ListFields()]
    if not filled:
        raise ValueError("it has neither contents nor an entry in raw_input_contents")
    if datatype == "BYTES":
        expected = _BYTES_FIELD
    elif datatype in _KINDS:
        expected = _KINDS[datatype].field
    else:
        datatypes = ", ".join(sorted([*_KINDS, "BYTES"]))
        raise ValueError(
            f"datatype {datatype!r:.40} has no typed contents: use raw_input_contents, or one of {datatypes}"
        )
    if filled != [expected]:
        raise ValueError(f"it is {datatype} and has {' and '.join(filled)}: fill {expected} alone")
    return pack(datatype, getattr(contents, expected))
