"""Request bodies: images as callers have them, turned into bytes with a content type.

Neither PIL nor NumPy is imported here, unless the caller gives a PIL image: then PIL is installed.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeGuard

from torchlight_client.errors import InvalidArgument


class PilImage(Protocol):
    """A PIL image (PIL.Image.Image)."""

    @property
    def mode(self) -> str:
        """Return the pixel format, such as RGB."""

    def save(self, fp: Any, format: str | None = None) -> None:  # noqa: A002
        """Write the image as a file."""


class ArrayImage(Protocol):
    """An array with NumPy's interface: uint8, (height, width, 3) in RGB."""

    @property
    def dtype(self) -> Any:
        """Return the type of the elements."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the lengths of the axes."""

    def tobytes(self) -> bytes:
        """Return the elements in C order."""


# Bytes of a JPEG, PNG, WebP or .npy file; the path of one; a PIL image; or uint8 (height, width, 3) in RGB.
ImageLike: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | PilImage | ArrayImage

_NPY_MAGIC = b"\x93NUMPY"
_NPY_ALIGNMENT = 64
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")
_KINDS = "bytes, a path, a PIL image, or a uint8 array (height, width, 3)"


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request. `count` is the number of images, or None for a single image outside a list."""

    content: bytes
    content_type: str
    count: int | None


def body(images: ImageLike | Sequence[ImageLike]) -> Body:
    """Return the body for one image, or a multipart/form-data body for several.

    Raises:
        InvalidArgument: a file cannot be read, or a value is not an image.
    """
    if not _is_list(images):
        content = encode(images)
        return Body(content, content_type(content), None)
    contents = [encode(image) for image in images]
    if not contents:
        raise InvalidArgument("the list of images is empty: give one or more")
    if len(contents) == 1:
        return Body(contents[0], content_type(contents[0]), 1)
    return _multipart(contents)


def encode(image: Any) -> bytes:
    """Return one image as bytes: files as they are, a PIL image as PNG, an array as .npy.

    Raises:
        InvalidArgument: the file cannot be read, or the value is not an image.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return read_image(os.fspath(image))
    if _is_pil_image(image):
        return _png(image)
    if all(hasattr(image, name) for name in ("dtype", "shape", "tobytes")):
        return _npy(image)
    raise InvalidArgument(f"an image is {type(image).__name__}: give {_KINDS}; for several images, a list of them")


def content_type(content: bytes) -> str:
    """Return the content type: it marks an array. The server detects encoded formats by their first bytes."""
    return "application/x-npy" if content.startswith(_NPY_MAGIC) else "application/octet-stream"


def read_image(path: str) -> bytes:
    """Return the bytes of an image file.

    Raises:
        InvalidArgument: it is a URL or a folder, or cannot be read.
    """
    if "://" in path:
        raise InvalidArgument(
            f"the image is a URL ({path:.80}): nothing is fetched from the network; download it, and give the file"
        )
    try:
        if Path(path).is_dir():
            raise InvalidArgument(f"the image is a folder ({path}): give one image file")
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgument(f"the image {path:.200}: {error.strerror}; give an image file") from None


def _is_list(images: object) -> TypeGuard[Sequence[ImageLike]]:
    return isinstance(images, Sequence) and not isinstance(images, bytes | bytearray | memoryview | str)


def _is_pil_image(image: object) -> bool:
    pil = sys.modules.get("PIL.Image")  # a caller that has a PIL image has imported it
    return pil is not None and isinstance(image, pil.Image)


def _multipart(contents: Sequence[bytes]) -> Body:
    """Return the images as parts of a multipart/form-data body (RFC 7578), in their order."""
    boundary = secrets.token_hex(16)
    out = bytearray()
    for number, content in enumerate(contents, start=1):
        # A caller's file name could equal the name of an option, such as top_k; these names cannot.
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image{number}"; filename="image{number}"\r\n'
            f"Content-Type: {content_type(content)}\r\n\r\n"
        )
        out += head.encode() + content + b"\r\n"
    out += f"--{boundary}--\r\n".encode()
    return Body(bytes(out), f"multipart/form-data; boundary={boundary}", len(contents))


def _png(image: Any) -> bytes:
    from PIL import ImageOps

    if image.mode == "F":
        raise InvalidArgument("a PIL image of mode F has an unknown value range: convert it to L or RGB first")
    upright = image
    with suppress(Exception):  # broken EXIF data does not affect the pixels, and the server ignores it too
        upright = ImageOps.exif_transpose(image)  # a file's orientation is applied by the server; a PNG's is lost here
    out = io.BytesIO()
    try:
        if upright.mode not in _PNG_MODES:  # such as CMYK
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.save(out, "PNG")
    except Exception as error:  # a file that was opened may turn out to be damaged when its pixels are read
        raise InvalidArgument(f"the PIL image cannot be encoded ({error}): check that its file is complete") from error
    return out.getvalue()


def _npy(array: ArrayImage) -> bytes:
    """Return an array as a .npy file, version 1.0 (numpy.lib.format): magic, header, elements in C order."""
    shape = tuple(array.shape)
    if str(array.dtype) != "uint8" or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))):
        raise InvalidArgument(
            f"an array is {array.dtype} {shape}: give uint8 (height, width, 3), and for a batch list(array)"
        )
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode("ascii")
    start = _NPY_MAGIC + b"\x01\x00"
    # The elements start at a multiple of 64, after two bytes for the header's length and a line feed.
    header += b" " * (-(len(start) + 2 + len(header) + 1) % _NPY_ALIGNMENT) + b"\n"
    return start + struct.pack("<H", len(header)) + header + array.tobytes()
