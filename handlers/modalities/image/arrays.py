"""Arrays that are images: .npy files, nested JSON lists and v2 tensors -> uint8 or uint16 pictures.

Integers are gray values or colors from 0 to 255 (uint16: to 65535), floats from 0 to 1. One image is (H, W),
(H, W, C) or (C, H, W), many are (N, H, W, C) or (N, C, H, W), with 1, 3 or 4 channels C; where both readings fit, the
channels are last.
"""

from __future__ import annotations

import io
import math
from itertools import chain
from typing import Any

import numpy as np

from handlers.errors import BadTensor, ImageTooLarge, TooManyImages
from models.card import Limits

NPY_MAGIC = b"\x93NUMPY"
_CHANNELS = (1, 3, 4)
_SHAPES = "one image is (H, W), (H, W, C) or (C, H, W), many are (N, H, W, C) or (N, C, H, W), with 1, 3 or 4 channels"


def from_npy(content: bytes, limits: Limits) -> list[np.ndarray]:
    """Return the pictures in a .npy file, each (H, W) or (H, W, C), uint8 or uint16. No code in it is executed.

    Raises:
        BadTensor: the file is damaged, or has another type or shape.
        ImageTooLarge, TooManyImages: over the limits.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = readers[version](stream)
    except KeyError:
        raise BadTensor("the .npy file has a format version other than 1.0 and 2.0: numpy.save writes those") from None
    except Exception as error:  # ValueError, and any error that Python's parser raises for a broken header
        raise BadTensor(f"the .npy file's header is damaged: {' '.join(str(error).split())[:120]}") from None
    if dtype.hasobject or dtype.kind not in "buif":
        raise BadTensor(f"the .npy file holds {str(dtype)[:40]!r}: send uint8, uint16 or floats from 0 to 1")
    if len(shape) > 4 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):  # numpy checks no values here
        raise BadTensor(f"the .npy file's shape is {shape!r:.60}: {_SHAPES}")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise BadTensor(
            f"the .npy file is {shape} of {dtype}, and has {len(content) - stream.tell():,} bytes of data instead of "
            f"{math.prod(shape) * dtype.itemsize:,}: it is cut short or damaged"
        )
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    return pictures(flat.reshape(shape, order="F" if fortran else "C"), limits)


def from_lists(value: Any, limits: Limits) -> list[np.ndarray]:
    """Return the single picture in nested JSON lists.

    Raises:
        BadTensor: ragged, not numbers, or of another shape.
        ImageTooLarge: over the limits.
    """
    depth, inner = 0, value
    while isinstance(inner, list) and inner and depth <= 3:
        depth, inner = depth + 1, inner[0]
    if depth not in (2, 3):
        raise BadTensor("an instance as nested lists must be H x W, H x W x C or C x H x W numbers")
    if isinstance(inner, bool) or not isinstance(inner, int | float):
        raise BadTensor(f"the nested lists hold {type(inner).__name__}: pixels are numbers, 0 to 255 or 0.0 to 1.0")
    try:
        array = numbers(value)
    except ValueError:
        raise BadTensor("the nested lists are ragged: every row must have as many numbers") from None
    except TypeError:
        raise BadTensor(
            "the nested lists hold something else than numbers: pixels are 0 to 255 or 0.0 to 1.0"
        ) from None
    return pictures(array, limits)


def numbers(nested: Any) -> np.ndarray:
    """Convert nested lists of numbers to an int64, uint64 or float64 array.

    The types are checked first. Beside a text, numpy would convert all numbers to texts of its length, and a request
    of a few megabytes to as many terabytes.

    Raises:
        TypeError: an element is not a number.
        ValueError: the lists are ragged.
    """
    level = [nested]
    while (kinds := set(map(type, level))) == {list}:
        level = list(chain.from_iterable(level))
    if list in kinds:
        raise ValueError("ragged")
    if not kinds <= {int, float}:
        raise TypeError("not numbers")
    array = np.array(nested)
    if array.dtype.kind not in "iuf":  # an integer beyond 64 bits
        raise TypeError("not numbers")
    return array


def pictures(array: np.ndarray, limits: Limits) -> list[np.ndarray]:
    """Split an array of one or many images into pictures, each (H, W) or (H, W, C), uint8.

    uint16 stays as it is: the card defines which values are black and white (`images.from_array`).

    Raises:
        BadTensor: the shape is not one of an image, or a value is out of range.
        ImageTooLarge, TooManyImages: over the limits.
    """
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise BadTensor(f"the array's shape is {array.shape}: {_SHAPES}")
    many = array if array.ndim == 4 else array[np.newaxis]
    if many.ndim == 4 and many.shape[3] not in _CHANNELS:
        if many.shape[1] not in _CHANNELS:
            raise BadTensor(f"the array's shape is {array.shape}: {_SHAPES}")
        many = np.moveaxis(many, 1, 3)
    height, width = many.shape[1:3]
    if len(many) > limits.max_images:
        raise TooManyImages(f"the array holds {len(many):,} images: at most {limits.max_images} go into one request")
    if max(height, width) > limits.max_side:
        raise ImageTooLarge(
            f"an image of the array has {width} x {height} pixels: at most {limits.max_side:,} on a side are accepted"
        )
    if height * width > limits.max_pixels:
        raise ImageTooLarge(
            f"an image of the array has {width} x {height} pixels: at most {limits.max_pixels:,} in all are accepted"
        )
    return list(np.ascontiguousarray(_pixels(many)))


def _pixels(values: np.ndarray) -> np.ndarray:
    if values.dtype in (np.uint8, np.uint16):
        return values
    if values.dtype.kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    lowest, highest = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (lowest >= 0 and highest <= 1):  # so that NaN is out of range too
            raise BadTensor(f"the floats reach from {lowest:.4g} to {highest:.4g}: they must lie within 0 and 1")
        return (values * 255 + 0.5).astype(np.uint8)
    if lowest < 0 or highest > 255:
        raise BadTensor(f"the integers reach from {lowest} to {highest}: they must lie within 0 and 255")
    return values.astype(np.uint8)
