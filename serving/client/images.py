"""Request bodies: images as callers have them, turned into bytes with a content type."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from urllib3 import encode_multipart_formdata
from urllib3.fields import RequestField

from serving.errors import ClientError

# Bytes of a JPEG, PNG, WebP or .npy file; the path of one; a PIL image; or uint8 (height, width, 3) in RGB.
ImageLike: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | Image.Image | NDArray[np.uint8]

_NPY_MAGIC = b"\x93NUMPY"
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request. `count` is the number of images, or None for a single image outside a list."""

    content: bytes
    content_type: str
    count: int | None


def body(images: ImageLike | Sequence[ImageLike]) -> Body:
    """Return the body for one image, or a multipart/form-data body for several.

    Raises:
        ClientError: a file cannot be read, or a value is not an image.
    """
    if _is_single(images):
        content = encode(images)
        return Body(content, content_type(content), None)
    if not isinstance(images, Sequence):
        raise ClientError(
            f"an image is {type(images).__name__}: give bytes, a path, a PIL image, a uint8 array, or a list of them"
        )
    contents = [encode(image) for image in images]
    if not contents:
        raise ClientError("the list of images is empty: give one or more")
    if len(contents) == 1:
        return Body(contents[0], content_type(contents[0]), 1)
    fields = []
    for number, content in enumerate(contents, start=1):
        # A caller's file name could equal the name of an option, such as top_k; these names cannot.
        field = RequestField(f"image{number}", content, filename=f"image{number}")
        field.make_multipart(content_type=content_type(content))
        fields.append(field)
    return Body(*encode_multipart_formdata(fields), len(contents))


def encode(image: Any) -> bytes:
    """Return one image as bytes: files as they are, a PIL image as PNG, an array as .npy.

    Raises:
        ClientError: the file cannot be read, or the value is not an image.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return read_image(os.fspath(image))
    if isinstance(image, Image.Image):
        return _png(image)
    if isinstance(image, np.ndarray):
        return _npy(image)
    raise ClientError(
        f"an image is {type(image).__name__}: give bytes, a path, a PIL image, or a uint8 array (height, width, 3)"
    )


def content_type(content: bytes) -> str:
    """Return the content type: it marks an array. The server detects encoded formats by their first bytes."""
    return "application/x-npy" if content.startswith(_NPY_MAGIC) else "application/octet-stream"


def read_image(path: str) -> bytes:
    """Return the bytes of an image file.

    Raises:
        ClientError: it is a URL or a folder, or cannot be read.
    """
    if "://" in path:
        raise ClientError(
            f"IMAGE is a URL ({path:.80}): nothing is fetched from the network; download it, give the file"
        )
    if Path(path).is_dir():
        raise ClientError(f"IMAGE is a folder ({path}): give one image file, such as samples/3.png")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"IMAGE {path}: {error.strerror}; give an image file, such as samples/3.png") from None


def _is_single(images: object) -> bool:
    return isinstance(images, bytes | bytearray | memoryview | str | os.PathLike | Image.Image | np.ndarray)


def _png(image: Image.Image) -> bytes:
    if image.mode == "F":
        raise ClientError("a PIL image of mode F has an unknown value range: convert it to L or RGB first")
    upright = image
    with suppress(Exception):  # broken EXIF data does not affect the pixels, and the server ignores it too
        upright = ImageOps.exif_transpose(image)  # a file's orientation is applied by the server; a PNG's is lost here
    out = io.BytesIO()
    try:
        if upright.mode not in _PNG_MODES:  # such as CMYK
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.save(out, "PNG")
    except Exception as error:  # a file that was opened may turn out to be damaged when its pixels are read
        raise ClientError(f"the PIL image cannot be encoded ({error}): check that its file is complete") from error
    return out.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise ClientError(
            f"an array is {array.dtype} {array.shape}: give uint8 (height, width, 3), and for a batch list(array)"
        )
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()
