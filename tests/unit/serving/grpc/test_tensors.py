from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tritonclient.utils import serialize_byte_tensor

from serving.grpc import tensors
from serving.grpc.open_inference_pb2 import InferTensorContents

NUMBERS = [
    ("INT8", "int_contents", np.int8, [-128, 127]),
    ("INT16", "int_contents", np.int16, [-32768, 32767]),
    ("INT32", "int_contents", np.int32, [-(2**31), 2**31 - 1]),
    ("INT64", "int64_contents", np.int64, [-(2**63), 2**63 - 1]),
    ("UINT8", "uint_contents", np.uint8, [0, 255]),
    ("UINT16", "uint_contents", np.uint16, [0, 65535]),
    ("UINT32", "uint_contents", np.uint32, [0, 2**32 - 1]),
    ("UINT64", "uint64_contents", np.uint64, [0, 2**64 - 1]),
    ("FP32", "fp32_contents", np.float32, [0.25, -1.5]),
    ("FP64", "fp64_contents", np.float64, [0.1, -1e300]),
    ("BOOL", "bool_contents", np.bool_, [True, False]),
]


@pytest.mark.parametrize(("datatype", "field", "dtype", "values"), NUMBERS)
def test_numbers_become_what_numpy_makes_of_them(datatype: str, field: str, dtype: Any, values: list[Any]) -> None:
    contents = InferTensorContents(**{field: values})
    assert tensors.pack_contents(datatype, contents) == np.array(values, dtype).tobytes()


def test_bytes_become_what_tritonclient_makes_of_them() -> None:
    values = [b"\x89PNG\x00", b"", b"\xff" * 300]
    expected = serialize_byte_tensor(np.array(values, dtype=object)).item()
    assert tensors.pack_contents("BYTES", InferTensorContents(bytes_contents=values)) == expected


def test_text_is_packed_as_utf_8() -> None:
    assert tensors.pack("BYTES", ["é"]) == b"\x02\x00\x00\x00\xc3\xa9"


@pytest.mark.parametrize(
    ("datatype", "contents", "message"),
    [
        ("UINT8", {}, r"neither contents nor an entry in raw_input_contents"),
        ("UINT8", {"uint_contents": [256]}, r"an element does not fit UINT8 \(.*maximum\)"),
        ("INT16", {"int_contents": [40_000]}, r"an element does not fit INT16"),
        ("UINT8", {"int_contents": [1]}, r"it is UINT8 and has int_contents: fill uint_contents alone"),
        ("FP32", {"fp32_contents": [1.0], "fp64_contents": [1.0]}, r"fp32_contents and fp64_contents: fill fp32_cont"),
        ("BYTES", {"uint_contents": [1]}, r"it is BYTES and has uint_contents: fill bytes_contents alone"),
        ("FP16", {"fp32_contents": [1.0]}, r"datatype 'FP16' has no typed contents: use raw_input_contents, or one of"),
    ],
)
def test_contents_that_do_not_fit_are_explained(datatype: str, contents: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tensors.pack_contents(datatype, InferTensorContents(**contents))


@pytest.mark.parametrize(("datatype", "values"), [("BYTES", [7]), ("FP32", [None]), ("COMPLEX", [1])])
def test_json_values_outside_the_datatype_are_refused(datatype: str, values: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"an element|datatype 'COMPLEX' is unknown: use one of"):
        tensors.pack(datatype, values)
