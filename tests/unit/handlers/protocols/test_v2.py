from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import serialize_byte_tensor

from handlers.errors import BadJSON, BadTensor, ImageTooLarge, TooManyImages, UnknownOption
from handlers.protocols import v2
from handlers.protocols.v2 import parse
from models.card import Limits

CONTENTS = [b"\x89PNG\x00 and so on", b"", b"\xff" * 300]
TEXTS = [base64.b64encode(content).decode("ascii") for content in CONTENTS]
PIXELS = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
LIMITS = Limits()


def tensor(shape: Any, datatype: Any, data: Any = None, size: Any = None, **more: Any) -> dict[str, Any]:
    found = {"name": "any", "shape": shape, "datatype": datatype, **more}
    if data is not None:
        found["data"] = data
    if size is not None:
        found["parameters"] = {"binary_data_size": size}
    return found


def ask(one: Any, binary: bytes = b"", kind: str = "predict", limits: Limits = LIMITS, **more: Any) -> Any:
    return parse({"inputs": [one], **more}, binary, kind, limits)


def pixels(one: Any, binary: bytes = b"") -> np.ndarray:
    return np.stack([picture for _, picture in ask(one, binary)[0]])


# ---- inputs


@pytest.mark.parametrize("shape", [[3], [3, 1], [1, 3]])
@pytest.mark.parametrize("nest", [False, True])
def test_files_come_as_base64_flat_or_nested(shape: list[int], nest: bool) -> None:
    images, given, _ = ask(tensor(shape, "BYTES", [[text] for text in TEXTS] if nest else TEXTS))
    assert images == [(f"image {place}", content) for place, content in enumerate(CONTENTS)]
    assert given == []


def test_files_come_as_binary_data_as_triton_lays_it_out() -> None:
    binary = serialize_byte_tensor(np.array(CONTENTS, dtype=object)).item()
    images, _, _ = ask(tensor([3], "BYTES", size=len(binary)), binary)
    assert [content for _, content in images] == CONTENTS


@pytest.mark.parametrize("datatype", ["UINT8", "UINT16", "FP16", "FP32", "FP64"])
@pytest.mark.parametrize("form", ["flat", "nested", "binary"])
def test_pixels_come_in_each_of_these_types_and_forms(datatype: str, form: str) -> None:
    values = {"UINT8": PIXELS, "UINT16": PIXELS.astype(np.uint16) * 257}.get(datatype, PIXELS / 255)
    values = values.astype(v2.PIXELS[datatype])
    if form == "binary":
        seen = pixels(tensor([2, 4, 5, 3], datatype, size=values.nbytes), values.tobytes())
    else:
        seen = pixels(tensor([2, 4, 5, 3], datatype, (values.ravel() if form == "flat" else values).tolist()))
    # Values of 16 bits stay as they are: which of them the network sees is the model's own (models/window.py).
    assert np.array_equal(seen, values if datatype == "UINT16" else PIXELS)


def test_channels_may_come_first_and_one_image_needs_no_n() -> None:
    first = np.moveaxis(PIXELS, 3, 1)
    assert np.array_equal(pixels(tensor([2, 3, 4, 5], "UINT8", size=120), first.tobytes()), PIXELS)
    assert np.array_equal(pixels(tensor([4, 5, 3], "UINT8", size=60), PIXELS[0].tobytes()), PIXELS[:1])
    assert np.array_equal(pixels(tensor([3, 4, 5], "UINT8", first[0].ravel().tolist())), PIXELS[:1])


@pytest.mark.parametrize("inputs", [None, [], {}, "text", [1], [tensor([1], "BYTES", [""])] * 2])
def test_inputs_must_be_one_tensor(inputs: Any) -> None:
    with pytest.raises(BadJSON, match=r"^member 'inputs' must be a list of one tensor"):
        parse({"inputs": inputs}, b"", "predict", LIMITS)


@pytest.mark.parametrize(
    "shape",
    [None, [], 3, "3", [0], [-2], [-1, -1], -2, -1.0, [1.0], [True], ["1"], [None], [2**31], [1] * 5, {"0": 1}, [[1]]],
)
def test_a_shape_must_be_some_whole_numbers(shape: Any) -> None:
    with pytest.raises(
        BadTensor, match=r"^the tensor's shape is .*: it must be a list of 1 to 4 whole numbers above 0; one may be -1$"
    ):
        ask(tensor(shape, "UINT8", [1]))


@pytest.mark.parametrize("datatype", [None, "", "INT64", "uint8", "STRING", 5, ["UINT8"], {}])
def test_unknown_datatype_is_refused_with_the_known_ones(datatype: Any) -> None:
    with pytest.raises(BadTensor, match=r"^the tensor's datatype is .*: BYTES for files, for pixels UINT8, .*FP64$"):
        ask(tensor([1], datatype, [1]))


@pytest.mark.parametrize(
    ("one", "binary", "words"),
    [
        (tensor([1], "BYTES"), b"", "must have either a member 'data' or a parameter binary_data_size"),
        (tensor([1], "BYTES", [""], size=4), bytes(4), "must have either a member 'data' or a parameter"),
        (tensor([1], "BYTES", [""]), b"more", "4 bytes follow the JSON, and no tensor has a parameter binary_data"),
        (tensor([1], "BYTES", [""], parameters=[1]), b"more", "4 bytes follow the JSON, and no tensor"),
        (tensor([1], "BYTES", size=5), bytes(4), "binary_data_size is 5, and 4 bytes follow the JSON"),
        (tensor([1], "BYTES", size=4), b"", "binary_data_size is 4, and 0 bytes follow the JSON"),
        (tensor([1], "BYTES", size="4"), bytes(4), "binary_data_size is '4', and 4 bytes follow"),
        (tensor([1], "BYTES", size=True), bytes(1), "binary_data_size is True, and 1 bytes follow"),
        (tensor([1], "BYTES", size=-1), bytes(1), "binary_data_size is -1, and 1 bytes follow"),
        (tensor([2], "BYTES", size=4), bytes(4), "the binary data is not 2 elements"),
        (tensor([1], "BYTES", size=8), bytes(8), "the binary data is not 1 elements"),
        (tensor([1], "BYTES", size=3), bytes(3), "the binary data is not 1 elements"),
        (tensor([1], "BYTES", size=6), struct.pack("<I", 3) + b"ab", "the binary data is not 1 elements"),
        (tensor([1], "BYTES", size=6), b"\xff\xff\xff\xffab", "the binary data is not 1 elements"),
        (tensor([2], "BYTES", [""]), b"", "must be a list of 2 strings, as many as the shape says"),
        (tensor([2], "BYTES", "text"), b"", "must be a list of 2 strings"),
        (tensor([-1], "BYTES", []), b"", "must be a list of 1 strings"),
        (tensor([-1, 2], "BYTES", ["", "", ""]), b"", "must be a list of 2 strings"),
        (tensor([-1], "BYTES", size=6), struct.pack("<I", 3) + b"ab", "the binary data is not 1 elements"),
        (tensor([-1], "BYTES", size=0), b"", "the binary data is not 1 elements"),
        (tensor([-1, 5], "UINT8", [0] * 9), b"", r"must be 5 numbers, for shape \[1, 5\]"),
        (tensor([1], "BYTES", {"a": ""}), b"", "must be a list of 1 strings"),
        (tensor([2], "BYTES", [[""], ""]), b"", "element 0 of 'data' is list: it must be a string"),
        (tensor([2], "BYTES", ["", 5]), b"", "element 1 of 'data' is int: it must be a string"),
        (tensor([1], "BYTES", ["?"]), b"", "element 0 of 'data' is not base64"),
        (tensor([4, 5], "UINT8", size=19), bytes(19), r"a tensor \[4, 5\] of UINT8 has 20 bytes, and 19 were sent"),
        (tensor([4, 5], "FP32", size=20), bytes(20), "of FP32 has 80 bytes, and 20 were sent"),
        (tensor([2, 2], "UINT8", [1, 2, 3]), b"", r"must be 4 numbers, for shape \[2, 2\], flat or nested"),
        (tensor([2, 2], "UINT8", [[1, 2], [3]]), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", [1, 2, 3, "4"]), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", [1, 2, 3, None]), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", [1, 2, 3, True]), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", {"a": 1}), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", "text"), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", [1, 2, 3, 10**30]), b"", "must be 4 numbers"),
        (tensor([2, 2], "UINT8", [1, 2, 3, 256]), b"", "holds numbers that are not UINT8"),
        (tensor([2, 2], "UINT8", [1, 2, 3, -1]), b"", "holds numbers that are not UINT8"),
        (tensor([2, 2], "UINT8", [1, 2, 3, 0.5]), b"", "holds numbers that are not UINT8"),
        (tensor([2, 2], "UINT16", [1, 2, 3, 65536]), b"", "holds numbers that are not UINT16"),
        (tensor([2, 2], "FP32", [0, 0, 0, 1.5]), b"", "the floats reach from 0 to 1.5"),
        (tensor([2, 2], "FP32", [0, 0, 0, 1e300]), b"", "the floats reach from 0 to inf"),
        (tensor([2, 2], "FP32", [0, 0, 0, float("nan")]), b"", "the floats reach from nan to nan"),
        (tensor([20], "UINT8", [0] * 20), b"", r"the array's shape is \(20,\)"),
        (tensor([5, 4, 2], "UINT8", size=40), bytes(40), r"the array's shape is \(5, 4, 2\)"),
    ],
)
def test_a_tensor_that_is_no_image_is_refused_with_what_is_wrong(one: Any, binary: bytes, words: str) -> None:
    with pytest.raises((BadTensor, BadJSON), match=words) as raised:
        ask(one, binary)
    assert raised.value.status == 400


def test_limits_hold() -> None:
    few = Limits(max_images=2, max_pixels=19)
    with pytest.raises(TooManyImages, match="the tensor holds 3 images: at most 2"):
        ask(tensor([3], "BYTES", TEXTS), limits=few)
    with pytest.raises(TooManyImages, match=r"holds 4,611,686,014,132,420,609 images"):
        ask(tensor([2**31 - 1, 2**31 - 1], "BYTES", size=4), bytes(4), limits=few)
    with pytest.raises(TooManyImages, match="the array holds 3 images: at most 2"):
        ask(tensor([3, 2, 2, 3], "UINT8", size=36), bytes(36), limits=few)
    with pytest.raises(ImageTooLarge, match="has 5 x 4 pixels: at most 19"):
        ask(tensor([4, 5], "UINT8", size=20), bytes(20), limits=few)


# ---- parameters and outputs


def test_parameters_are_options_but_for_those_of_the_protocol() -> None:
    _, given, _ = ask(tensor([1], "BYTES", [""]), parameters={"top_k": 2, "binary_data_output": True})
    assert given == [("top_k", 2, "parameters")]


@pytest.mark.parametrize("more", [{"parameters": None}, {"parameters": [1]}, {"id": 5}, {"id": None}])
def test_parameters_must_be_an_object_and_the_id_a_string(more: dict[str, Any]) -> None:
    with pytest.raises(BadJSON, match="member 'parameters' must be an object with options, and 'id' a string"):
        ask(tensor([1], "BYTES", [""]), **more)


def test_an_id_is_kept_as_far_as_it_is_text_and_short() -> None:
    assert ask(tensor([1], "BYTES", [""]), id="mine")[2].identity == "mine"
    assert ask(tensor([1], "BYTES", [""]), id="x" * 1000)[2].identity == "x" * 200
    assert ask(tensor([1], "BYTES", [""]), id="half \ud800 a pair")[2].identity == "half ? a pair"


EVERY = {"label": False, "index": False, "probability": False}


@pytest.mark.parametrize(
    ("kind", "more", "outputs"),
    [
        ("predict", {}, EVERY),
        ("predict", {"outputs": []}, EVERY),
        ("predict", {"outputs": None}, EVERY),
        ("explain", {}, EVERY | {"explanation": False}),
        ("predict", {"parameters": {"binary_data_output": True}}, dict.fromkeys(EVERY, True)),
        ("predict", {"outputs": [{"name": "index"}]}, {"index": False}),
        ("predict", {"outputs": [{"name": "index"}, {"name": "label"}]}, {"index": False, "label": False}),
        ("explain", {"outputs": [{"name": "explanation"}]}, {"explanation": False}),
        (
            "predict",
            {"outputs": [{"name": "index", "parameters": {"binary_data": True}}, {"name": "label"}]},
            {"index": True, "label": False},
        ),
        (
            "predict",
            {
                "outputs": [{"name": "index", "parameters": {"binary_data": False}}, {"name": "label"}],
                "parameters": {"binary_data_output": True},
            },
            {"index": False, "label": True},
        ),
    ],
)
def test_outputs_are_those_asked_for_each_in_its_form(kind: str, more: Any, outputs: dict[str, bool]) -> None:
    reply = ask(tensor([1], "BYTES", [""]), kind=kind, **more)[2]
    assert list(reply.outputs.items()) == list(outputs.items())


@pytest.mark.parametrize(
    ("outputs", "error", "words"),
    [
        ("label", BadJSON, "member 'outputs' must be a list of"),
        (["label"], BadJSON, "member 'outputs' must be a list of"),
        ([{"name": "logits"}], UnknownOption, "unknown output 'logits': there are label, index, probability$"),
        ([{}], UnknownOption, "unknown output None"),
        ([{"name": ["label"]}], UnknownOption, "unknown output"),
        (
            [{"name": "explanation"}],
            UnknownOption,
            "unknown output 'explanation': there are label, index, probability$",
        ),
        ([{"name": "label", "parameters": {"classification": 3}}], UnknownOption, "unknown parameter 'classification'"),
        ([{"name": "label", "parameters": [1]}], UnknownOption, "unknown parameter .* of output label"),
    ],
)
def test_other_outputs_are_refused(outputs: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask(tensor([1], "BYTES", [""]), outputs=outputs)


def test_a_dimension_of_minus_one_is_as_large_as_the_data() -> None:
    """TorchServe's samples for KServe have it, and its script for own images writes -1 and a string without lists."""
    encoded = base64.b64encode(b"a file").decode()
    for shape, data in (([-1], [encoded]), (-1, encoded), ([-1, 1], [[encoded]])):
        assert ask(tensor(shape, "BYTES", data))[0] == [("image 0", b"a file")]
    assert len(ask(tensor([-1], "BYTES", [encoded] * 3))[0]) == 3
    binary = (struct.pack("<I", 2) + b"ab") * 2
    assert ask(tensor([-1], "BYTES", size=12), binary)[0] == [
        ("image 0", b"ab"),
        ("image 1", b"ab"),
    ]
    assert pixels(tensor([-1, 4], "UINT8", list(range(20)))).shape == (1, 5, 4)
    assert pixels(tensor([2, -1], "UINT8", size=20), bytes(20)).shape == (1, 2, 10)


def test_a_dimension_of_minus_one_opens_no_way_around_the_limit() -> None:
    most = LIMITS.max_images
    binary = (struct.pack("<I", 0)) * (most + 1)
    with pytest.raises(TooManyImages):
        ask(tensor([-1], "BYTES", size=len(binary)), binary)
    with pytest.raises(TooManyImages):
        ask(tensor([-1], "BYTES", [""] * (most + 1)))
