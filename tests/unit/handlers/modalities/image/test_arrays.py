from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.errors import BadTensor, ImageTooLarge, TooManyImages
from handlers.modalities.image import images
from handlers.modalities.image.arrays import from_lists, from_npy, numbers, pictures
from models.card import Limits

LIMITS = Limits(max_images=3, max_pixels=100)
COLORS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def saved(array: np.ndarray, version: tuple[int, int] = (1, 0), **how: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version, **how)
    return buffer.getvalue()


def written(descr: Any, shape: Any, data: bytes = b"", header: str = "") -> bytes:
    """A .npy file of version 1.0 with a header that numpy would not write."""
    text = header or repr({"descr": descr, "fortran_order": False, "shape": shape})
    encoded = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + data


# ---- shapes


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((4, 5), [(4, 5, 1)]),
        ((4, 5, 3), [(4, 5, 3)]),
        ((4, 5, 1), [(4, 5, 1)]),
        ((4, 5, 4), [(4, 5, 4)]),
        ((3, 4, 5), [(4, 5, 3)]),
        ((1, 4, 5), [(4, 5, 1)]),
        ((3, 4, 3), [(3, 4, 3)]),  # both fit: the channels are last
        ((2, 4, 5, 3), [(4, 5, 3)] * 2),
        ((2, 3, 4, 5), [(4, 5, 3)] * 2),
        ((2, 4, 4, 5), [(4, 5, 4)] * 2),
    ],
)
def test_channels_are_read_last_or_first_for_one_or_many_images(shape: tuple[int, ...], seen: list[Any]) -> None:
    found = pictures(np.zeros(shape, np.uint8), LIMITS)
    assert [picture.shape if picture.ndim == 3 else (*picture.shape, 1) for picture in found] == seen


def test_channels_that_come_first_are_moved_not_reshaped() -> None:
    (found,) = pictures(np.moveaxis(COLORS, 2, 0), LIMITS)
    assert np.array_equal(found, COLORS)
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    "shape", [(), (5,), (0, 5), (4, 0, 3), (0, 4, 5, 3), (5, 4, 2), (2, 5, 4, 2), (7, 7, 7), (1, 1, 4, 5, 3)]
)
def test_any_other_shape_is_answered_with_those_that_are_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadTensor, match=r"shape is \(.*\): one image is \(H, W\), .* 1, 3 or 4 channels") as raised:
        pictures(np.zeros(shape, np.uint8), LIMITS)
    assert raised.value.status == 400


def test_limits_hold_for_arrays_too() -> None:
    assert len(pictures(np.zeros((3, 10, 10, 3), np.uint8), LIMITS)) == 3
    with pytest.raises(TooManyImages, match="the array holds 4 images: at most 3"):
        pictures(np.zeros((4, 10, 10, 3), np.uint8), LIMITS)
    with pytest.raises(ImageTooLarge, match="has 11 x 10 pixels: at most 100 in all"):
        pictures(np.zeros((10, 11), np.uint8), LIMITS)


# ---- values


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", ">i4", "<i8", "uint32", ">u8"])
def test_integers_are_gray_values(dtype: str) -> None:
    (found,) = pictures(np.array([[0, 1], [77, 127]], dtype), LIMITS)
    assert (found.dtype, found.tolist()) == (np.uint8, [[0, 1], [77, 127]])


@pytest.mark.parametrize("dtype", ["float16", ">f4", "float32", "float64", "longdouble"])
def test_floats_reach_from_0_to_1(dtype: str) -> None:
    (found,) = pictures(np.array([[0, 0.25], [0.5, 1]], dtype), LIMITS)
    assert (found.dtype, found.tolist()) == (np.uint8, [[0, 64], [128, 255]])


def test_eight_bits_survive_the_way_through_floats() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for dtype in (np.float32, np.float64):
        assert np.array_equal(pictures(every.astype(dtype) / 255, Limits())[0], every)


def test_sixteen_bits_are_scaled_like_those_of_a_png() -> None:
    (found,) = pictures(np.array([[0, 257], [32768, 65535]], np.uint16), LIMITS)
    assert np.asarray(images.from_array(found)).tolist() == [[0, 1], [128, 255]]


def test_truth_is_black_or_white() -> None:
    assert pictures(np.array([[True, False]]), LIMITS)[0].tolist() == [[255, 0]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0, 256]], "the integers reach from 0 to 256: they must lie within 0 and 255"),
        ([[-1, 255]], "the integers reach from -1 to 255"),
        ([[0.0, 1.01]], "the floats reach from 0 to 1.01: they must lie within 0 and 1"),
        ([[-0.5, 1]], "the floats reach from -0.5 to 1"),
        ([[0.0, float("nan")]], "the floats reach from nan to nan"),
        ([[0.0, float("inf")]], "the floats reach from 0 to inf"),
        ([[0.5, 255]], "the floats reach from 0.5 to 255"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range_found(values: list[Any], words: str) -> None:
    with pytest.raises(BadTensor, match=words):
        pictures(np.array(values), LIMITS)


# ---- .npy


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_file_of_either_version_and_order_is_read(version: tuple[int, int], order: Any) -> None:
    content = saved(np.array(COLORS, order=order), version)
    assert (b"'fortran_order': True" in content) is (order == "F")
    (found,) = from_npy(content, LIMITS)
    assert np.array_equal(found, COLORS)


def test_an_npy_file_may_hold_many_images() -> None:
    many = np.stack([COLORS, COLORS[::-1]]).astype("float32") / 255
    assert np.array_equal(np.stack(from_npy(saved(many), LIMITS)), np.stack([COLORS, COLORS[::-1]]))


@pytest.mark.parametrize("version", [b"\x03\x00", b"\x09\x00"])
def test_other_npy_versions_are_refused(version: bytes) -> None:
    with pytest.raises(BadTensor, match=r"version other than 1\.0 and 2\.0"):
        from_npy(b"\x93NUMPY" + version + saved(COLORS)[8:], LIMITS)


@pytest.mark.parametrize("cut", [0, 3, 7, 9, 20, 100, 127, 128, 150, -1])
def test_an_npy_file_cut_short_is_refused_wherever_it_is_cut(cut: int) -> None:
    with pytest.raises(BadTensor, match=r"header is damaged|cut short or damaged"):
        from_npy(saved(COLORS)[:cut], LIMITS)


def test_bytes_too_many_are_refused() -> None:
    with pytest.raises(BadTensor, match="has 61 bytes of data instead of 60: it is cut short or damaged"):
        from_npy(saved(COLORS) + b"x", LIMITS)


def test_a_huge_header_is_refused_unread() -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5), }" + " " * 20_000
    with pytest.raises(BadTensor, match="header is damaged: Header info length"):
        from_npy(written(0, 0, bytes(20), header), LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "[]",
        "{'descr': '|u1'}",
        "{'descr': 'spam', 'fortran_order': False, 'shape': (4, 5)}",
        "{'descr': '|u1', 'fortran_order': 3, 'shape': (4, 5)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 20}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 5), 'more': 1}",
        "__import__('os').system('false')",
        "(" * 9_000,
        "[" * 150 + "]" * 150,
        "-" * 9_000 + "1",
        "1" * 9_000,
        "\x00" * 50,
        "\xff" * 50,
    ],
)
def test_a_broken_header_is_refused(header: str) -> None:
    with pytest.raises(BadTensor, match="header is damaged") as raised:
        from_npy(written(0, 0, bytes(20), header or " "), LIMITS)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "shape", [(-4, -5), (-1, -20), (True, 20), (10**4000, 10**4000), (2**40, 0), (1,) * 2000, (2**31, 2**31)]
)
def test_a_shape_that_numpy_itself_would_not_write_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadTensor, match=r"the \.npy file's (shape is|header is damaged)") as raised:
        from_npy(written("|u1", shape, bytes(20)), LIMITS)
    assert len(str(raised.value)) < 250


def test_a_shape_that_promises_more_than_there_is_takes_no_memory() -> None:
    with pytest.raises(BadTensor, match="has 20 bytes of data instead of 4,611,686,014,132,420,609"):
        from_npy(written("|u1", (2**31 - 1, 2**31 - 1), bytes(20)), LIMITS)


class Evil:
    """A pickle that runs code when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_objects_are_refused_and_never_executed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = saved(np.array([[Evil(trace)]], dtype=object), allow_pickle=True)
    with pytest.raises(BadTensor, match="holds 'object': send uint8, uint16 or floats"):
        from_npy(content, LIMITS)
    assert not trace.exists()
    np.load(io.BytesIO(content), allow_pickle=True)  # what would have happened
    assert trace.exists()


@pytest.mark.parametrize("dtype", ["<c8", "S3", "<U2", "<M8[s]", "V4", [("a", "u1")], [("a", "O")]])
def test_other_types_than_numbers_are_refused(dtype: Any) -> None:
    with pytest.raises(BadTensor, match="send uint8, uint16 or floats from 0 to 1"):
        from_npy(saved(np.zeros((4, 5), dtype), allow_pickle=True), LIMITS)


# ---- nested lists


def test_nested_lists_are_one_image() -> None:
    for array in (COLORS, COLORS[..., 0], np.moveaxis(COLORS, 2, 0)):
        (found,) = from_lists(array.tolist(), LIMITS)
        assert np.array_equal(found, pictures(array, LIMITS)[0])
    assert from_lists([[0.0, 0.5], [1, 1]], LIMITS)[0].tolist() == [[0, 128], [255, 255]]


@pytest.mark.parametrize("value", [[], [1, 2], [[]], [[[]]], [[[[1]]]], [[[[[1]]]]], 5, "text"])
def test_lists_of_another_depth_are_refused(value: Any) -> None:
    with pytest.raises(BadTensor, match=r"must be H x W, H x W x C or C x H x W numbers|the nested lists hold list"):
        from_lists(value, LIMITS)


@pytest.mark.parametrize("value", [[[1, 2], [3]], [[1], 2], [[[1]], [[1, 2]]], [[1, 2], [[3], [4]]], [[1], []]])
def test_ragged_lists_are_refused(value: Any) -> None:
    with pytest.raises(BadTensor, match=r"the nested lists are ragged: every row must have as many numbers"):
        from_lists(value, LIMITS)


@pytest.mark.parametrize("value", [[["1"]], [[None]], [[True, 1]], [[{}]]])
def test_lists_of_something_else_are_refused_with_what_it_is(value: Any) -> None:
    with pytest.raises(BadTensor, match=r"the nested lists hold (str|NoneType|bool|dict): pixels are numbers"):
        from_lists(value, LIMITS)


@pytest.mark.parametrize("odd", ["1", None, True, {}, 10**30])
def test_single_nan_in_an_array_is_refused(odd: Any) -> None:
    with pytest.raises(BadTensor, match="the nested lists hold something else than numbers"):
        from_lists([[1, 2], [3, odd]], LIMITS)


def test_a_long_text_among_numbers_does_not_become_terabytes() -> None:
    # numpy.array would make each of the numbers a text as long as the longest: here 8 TB.
    with pytest.raises(TypeError):
        numbers([[1] * 1_000_000 + ["x" * 2_000_000]])


@pytest.mark.parametrize("value", [5, [5], [[[[[5]]]]], [1, 2.5], [2**63]])
def test_numbers_of_any_depth_become_an_array(value: Any) -> None:
    assert numbers(value).tolist() == value


@pytest.mark.parametrize("value", [2**64, [[2**70, 1]], -(2**63) - 1])
def test_a_number_beyond_64_bits_is_none(value: Any) -> None:
    with pytest.raises(TypeError):
        numbers(value)
