"""Images to tensors: bytes -> picture -> uint8 pixels -> normalized float32 batch.

A picture is a decoded image, upright and opaque: RGB, or gray, which is resized in one channel to the same pixels. It
keeps the type that its decoder returns, and the library for that type resizes it, because a conversion takes longer.
Training, evaluation, golden answers and serving all use this code.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch.nn import functional

from handlers.errors import CorruptImage, ImageTooLarge, MissingImage, RequestError, UnsupportedImage
from handlers.modalities.image import formats, jpeg
from models.card import Input, Limits
from models.window import FULL_RANGE, Percentiles

FORMATS = ("JPEG", "PNG", "WEBP")
# Transparent pixels are laid on white, as a viewer would show them on a page.
BACKGROUND = (255, 255, 255, 255)
# The long side that explanations are drawn at: a JPEG is never decoded to less than this.
VIEW_SIDE = 512
LIMITS = Limits()
# Pillow would warn about sizes that open() below refuses anyway, through Python's warning filters, which no two threads
# may change at once.
Image.MAX_IMAGE_PIXELS = None
# Bytes of text in a PNG, which Pillow inflates before anything else: 60 kB of it could become 64 MB.
PngImagePlugin.MAX_TEXT_MEMORY = 1_048_576

# One image of a request: an encoded file, or the pixels (H, W) or (H, W, C) that were sent as an array.
ImageInput = bytes | np.ndarray
Source = bytes | bytearray | memoryview
# Pillow's, RGB or `L`; of most JPEGs an array, uint8 (H, W, 3) or (H, W).
Picture = Image.Image | np.ndarray
Form = TypeVar("Form", Image.Image, np.ndarray)
AnyWindow = tuple[int, int] | Percentiles


def open(content: Source, limits: Limits = LIMITS) -> Image.Image:  # noqa: A001
    """Read the header of one JPEG, PNG or WebP; no pixel is decoded yet.

    Raises:
        MissingImage: `content` is empty.
        ImageTooLarge: over the limits' max_bytes, max_side or max_pixels.
        UnsupportedImage: another format, or animated.
        CorruptImage: cut short or corrupt within the header.
    """
    if not content:
        raise MissingImage("the image is empty (0 bytes): send the bytes of a JPEG, PNG or WebP file")
    if len(content) > limits.max_bytes:
        raise ImageTooLarge(f"the image has {len(content):,} bytes: at most {limits.max_bytes:,} are accepted")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise _unidentified(content) from None
    except MemoryError:
        raise
    except Exception as error:  # a corrupt header can cause any error
        raise CorruptImage(f"the image's header is corrupt: {error}") from None
    if max(image.size) > limits.max_side:
        raise ImageTooLarge(
            f"the image has {image.width} x {image.height} pixels: at most {limits.max_side:,} on a side are accepted"
        )
    if image.width * image.height > limits.max_pixels:
        raise ImageTooLarge(
            f"the image has {image.width} x {image.height} pixels: at most {limits.max_pixels:,} in all are accepted"
        )
    if image.format in jpeg.FORMATS and jpeg.scans(content) > jpeg.MAX_SCANS:
        raise UnsupportedImage(
            f"the JPEG image has more than {jpeg.MAX_SCANS} scans: save it again with an image program"
        )
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise UnsupportedImage(f"the {image.format} image is animated: send a single frame")
    return image


def load(image: Image.Image, size: int | None = None, window: AnyWindow = FULL_RANGE) -> Picture:
    """Decode an opened image into a picture; its metadata is dropped.

    The orientation in EXIF, or else in XMP, is applied, 16 bits of gray are scaled to 8, transparency is composited on
    white; CMYK and palette become RGB.

    Args:
        size: of the network's input. A much larger JPEG is then decoded smaller (`jpeg.reduce`): never below twice
            `size`, nor below VIEW_SIDE.
        window: the values of a gray image of 16 bits that become 0 and 255.

    Raises:
        CorruptImage: cut short or corrupt.
        UnsupportedImage: a JPEG of a kind that is not decoded, such as a lossless one.
    """
    if image.format in jpeg.FORMATS:
        reduced = size is not None and jpeg.reduce(image, 2 * size, VIEW_SIDE)
        if _orientation(image) == 1 and (pixels := jpeg.decode(image, reduced=reduced)) is not None:
            return pixels
    file = getattr(image, "fp", None)  # Pillow drops it in load()
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise _undecodable(image, file, error) from None
    return _opaque(_upright(image), window)


def decode(
    content: Source, size: int | None = None, limits: Limits = LIMITS, window: AnyWindow = FULL_RANGE
) -> Picture:
    """Encoded image -> picture: `open`, then `load`, with what both raise."""
    return load(open(content, limits), size, window)


def _unidentified(content: Source) -> RequestError:
    """Return the error for a file that Pillow does not identify as one of FORMATS."""
    format_ = formats.identify(content)
    if format_ is not None and format_.is_supported:
        return CorruptImage("the image is cut short or corrupt within its header")
    start = f"its first bytes are {bytes(content[:12])!r}"
    if format_ is None:
        return UnsupportedImage(f"not a JPEG, PNG or WebP image ({start})")
    return UnsupportedImage(f"{_named(format_)} ({start}). {format_.advice}")


def _undecodable(image: Image.Image, file: object, error: Exception) -> RequestError:
    """Return the error for an image that Pillow cannot decode: an unsupported kind of JPEG, or damaged."""
    format_ = formats.identify(file.getvalue()) if isinstance(file, io.BytesIO) else None
    if format_ is not None and not format_.is_supported:
        return UnsupportedImage(f"{_named(format_)}. {format_.advice}")
    return CorruptImage(f"the {image.format} image is cut short or corrupt: {error}")


def _named(format_: formats.Format) -> str:
    return f"the file's format is {format_.name}, which is not decoded here: send a JPEG, PNG or WebP image"


def from_array(array: np.ndarray, window: AnyWindow = FULL_RANGE) -> Image.Image:
    """uint8 or uint16 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) -> picture; a fourth channel is transparency."""
    if array.dtype == np.uint16:
        alpha = _eight_bits(array[..., 3:], FULL_RANGE) if array.ndim == 3 else None
        array = _eight_bits(array[..., :3] if array.ndim == 3 else array, window)
        array = array if alpha is None else np.concatenate([array, alpha], axis=2)
    return _opaque(Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def _eight_bits(wide: np.ndarray, window: AnyWindow, ignored: int | None = None) -> np.ndarray:
    """Values of 16 bits -> uint8: the window becomes 0 to 255, and values outside are clipped.

    Args:
        ignored: the value of transparent pixels, which becomes 255 and does not count for percentiles.
    """
    black, white = bounds(wide, window, ignored)
    if ignored is not None:
        wide = np.where(wide == ignored, np.uint16(white), wide)
    return ((wide.astype(np.float32) - black) / ((white - black) / 255) + 0.5).clip(0, 255).astype(np.uint8)


def bounds(wide: np.ndarray, window: AnyWindow, ignored: int | None = None) -> tuple[int, int]:
    """Return the values of one image that become black and white; they differ, also in an image of one value.

    A percentile is a value that occurs: the nearest rank, as in numpy.percentile(method="nearest").
    """
    if not isinstance(window, Percentiles):
        return window
    values = wide.reshape(-1) if ignored is None else wide[wide != ignored]
    if not len(values):
        return FULL_RANGE
    black, white = (int(value) for value in np.percentile(values, window.percentiles, method="nearest"))
    return (black, white) if black < white else (min(black, FULL_RANGE[1] - 1), min(black, FULL_RANGE[1] - 1) + 1)


def _orientation(image: Image.Image) -> int:
    """Return the orientation of the camera, 1 to 8; 1 is upright.

    It comes from EXIF. If EXIF has none, it comes from XMP (tiff:Orientation), as in PIL.ImageOps.exif_transpose.
    """
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF data say nothing about the pixels: do not rotate them
        return 1


def _upright(image: Image.Image) -> Image.Image:
    if _orientation(image) == 1:
        return image  # exif_transpose would make a copy
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # as above
        return image


def _opaque(image: Image.Image, window: AnyWindow = FULL_RANGE) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit gray: convert("RGB") would clip it, not scale it
        return Image.fromarray(_eight_bits(np.asarray(image), window, image.info.get("transparency")))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def pixels(picture: Picture, spec: Input) -> torch.Tensor:
    """Return the network's input: the part that `seen` describes, resized to uint8 (3, spec.size, spec.size).

    The resize is bilinear, with antialiasing.
    """
    if isinstance(picture, np.ndarray):
        return center_crop(before_crop(picture, spec), spec.size)
    part = _part(picture, spec)
    margin = part.width * _margin(spec)
    return _resized(part, (margin, margin, part.width - margin, part.height - margin), spec.size)


def before_crop(picture: Picture, spec: Input) -> torch.Tensor:
    """Return the image before the crop, for training: uint8 (3, spec.pre_crop_size, spec.pre_crop_size).

    Its center is the result of `pixels`. Training moves its crop within the margin.
    """
    if isinstance(picture, np.ndarray):
        return _interpolated(_part(picture, spec), spec.pre_crop_size)
    part = _part(picture, spec)
    return _resized(part, (0, 0, *part.size), spec.pre_crop_size)


def center_crop(uncropped: torch.Tensor, size: int) -> torch.Tensor:
    """Crop the center of one uncropped image, or of each: (..., size, size)."""
    start = (uncropped.shape[-1] - size) // 2
    return uncropped[..., start : start + size, start : start + size]


def seen(picture: Picture, spec: Input) -> tuple[float, float, float, float]:
    """Return the part of a picture that the network sees: left, top, right, bottom in (fractions of) pixels."""
    if spec.resize != "crop":
        return 0, 0, *_size(picture)
    left, top, right, bottom = _square(picture)
    margin = (right - left) * _margin(spec)
    return left + margin, top + margin, right - margin, bottom - margin


def _margin(spec: Input) -> float:
    """Return the margin on each side of an uncropped image, as a share of its side."""
    return (1 - spec.size / spec.pre_crop_size) / 2


def _size(picture: Picture) -> tuple[int, int]:
    """Return width and height."""
    return (picture.shape[1], picture.shape[0]) if isinstance(picture, np.ndarray) else picture.size


def _square(picture: Picture) -> tuple[int, int, int, int]:
    """Return the largest square in the center of a picture: left, top, right, bottom."""
    width, height = _size(picture)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _part(picture: Form, spec: Input) -> Form:
    """Return the part of a picture that is resized: all of it, or its square."""
    if spec.resize != "crop":
        return picture
    left, top, right, bottom = box = _square(picture)
    return picture[top:bottom, left:right] if isinstance(picture, np.ndarray) else picture.crop(box)


def _resized(image: Image.Image, box: tuple[float, float, float, float], size: int) -> torch.Tensor:
    resized = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    values = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8).view(size, size, -1)
    return values.expand(size, size, 3).permute(2, 0, 1)


def _interpolated(array: np.ndarray, size: int) -> torch.Tensor:
    """Resize an array to the result of `_resized`, except for rounding."""
    rows = torch.from_numpy(array[..., None] if array.ndim == 2 else array)
    # The batch dimension is added first. Its stride marks the memory as channels last, as the fast kernel requires.
    planes = rows[None].permute(0, 3, 1, 2)
    resized = functional.interpolate(planes, (size, size), mode="bilinear", antialias=True)[0]
    return resized if len(resized) == 3 else torch.stack([resized[0]] * 3, dim=2).permute(2, 0, 1)


def picture(source: Source | np.ndarray, spec: Input, limits: Limits = LIMITS) -> Picture:
    """Convert an encoded image or an array to a picture, with the errors of `open`, `load` and `from_array`."""
    if isinstance(source, np.ndarray):
        return from_array(source, spec.window)
    return decode(source, spec.pre_crop_size, limits, spec.window)


@dataclass(frozen=True, slots=True)
class View:
    """The part of a picture that the network sees, for people to look at.

    Attributes:
        image: RGB, at most VIEW_SIDE on its long side, so that it takes little memory.
        box: the part that the network sees: left, top, right, bottom in pixels of the image that was sent, upright.
    """

    image: Image.Image
    box: tuple[float, float, float, float]


def view(picture: Picture, spec: Input, sent_side: int | None = None) -> View:
    """Return the view of a decoded picture.

    Args:
        sent_side: pixels of the long side of the image that was sent, if it may have been decoded smaller.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    enlarged = (sent_side or max(image.size)) / max(image.size)
    part = seen(picture, spec)
    box = (part[0] * enlarged, part[1] * enlarged, part[2] * enlarged, part[3] * enlarged)
    image = image.crop(tuple(round(edge) for edge in part))  # type: ignore[arg-type]
    scale = VIEW_SIDE / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return View(image.convert("RGB"), box)


def stack(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack the pixels of N images: uint8 (N, 3, size, size), channels last in memory, as from decoders."""
    # torch.stack copies byte by byte where rows do not follow on each other, as those of a center crop.
    rows = np.stack([pixels.permute(1, 2, 0).numpy() for pixels in images])
    return torch.from_numpy(rows).permute(0, 3, 1, 2)


def normalize(batch: torch.Tensor, spec: Input) -> torch.Tensor:
    """uint8 (N, 3, H, W) -> float32 of the same shape: (pixel / 255 - mean) / std by channel."""
    mean = torch.tensor(spec.mean, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=batch.device).view(1, 3, 1, 1)
    return (batch.float() / 255 - mean) / std


def batch(images: Sequence[torch.Tensor], spec: Input, device: torch.device) -> torch.Tensor:
    """Convert the pixels of N images to the network's input: float32 (N, 3, spec.size, spec.size) on `device`."""
    return normalize(stack(images).to(device), spec)
