"""Where an image becomes a tensor: bytes -> RGB picture -> uint8 pixels -> normalised float32 batch.

The only such code in the project: training, evaluation, golden answers and serving all come through here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from handlers.errors import DamagedImage, ImageTooLarge, NoImage, UnsupportedImage
from models.card import Input

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 6_000_000
MAX_PIXELS = 25_000_000
# Transparent pixels are laid on white, as a viewer would show them on a page.
BACKGROUND = (255, 255, 255, 255)


def decode(content: bytes | bytearray | memoryview) -> Image.Image:
    """Decode one JPEG, PNG or WebP into an upright RGB picture.

    The size is checked before any pixel is decoded. EXIF orientation is applied, 16 bits are scaled to 8, transparency
    is composited on white; CMYK, palette and grey become RGB.

    Raises:
        NoImage: `content` is empty.
        ImageTooLarge: over MAX_BYTES or MAX_PIXELS.
        UnsupportedImage: another format, or animated.
        DamagedImage: cut short or corrupt.
    """
    if not content:
        raise NoImage("the image is empty (0 bytes): send the bytes of a JPEG, PNG or WebP file")
    if len(content) > MAX_BYTES:
        raise ImageTooLarge(f"the image has {len(content):,} bytes: at most {MAX_BYTES:,} are accepted")
    image = _open(content)
    if image.width * image.height > MAX_PIXELS:
        raise ImageTooLarge(
            f"the image has {image.width} x {image.height} pixels: at most {MAX_PIXELS:,} in all are accepted"
        )
    # A phone's multi-picture JPEG (MPO) has further frames too, but its first is the photo.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise UnsupportedImage(f"the {image.format} image is animated: send a single frame")
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others
        raise DamagedImage(f"the {image.format} image is cut short or corrupt: {error}") from None
    return _rgb(_upright(image))


def _open(content: bytes | bytearray | memoryview) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked by decode()
            return Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageTooLarge(f"the image has far more than the {MAX_PIXELS:,} pixels that are accepted") from None
    except UnidentifiedImageError:
        start = bytes(content[:12])
        if start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (start[:4], start[8:]) == (b"RIFF", b"WEBP"):
            raise DamagedImage("the image is cut short or corrupt within its header") from None
        raise UnsupportedImage(f"not a JPEG, PNG or WebP image (its first bytes are {start!r})") from None
    except Exception as error:  # a header that is corrupt in its own way
        raise DamagedImage(f"the image's header is corrupt: {error}") from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data says nothing about the pixels: show them as they lie
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit grey: convert("RGB") would clip it, not scale it
        wide = np.asarray(image, dtype=np.float32)
        wide = np.where(wide == image.info.get("transparency", -1), 65_535, wide)
        return Image.fromarray((wide / 257 + 0.5).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, BACKGROUND), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def pixels(image: Image.Image, spec: Input) -> torch.Tensor:
    """Resize an RGB picture to what the network takes: uint8 (3, spec.size, spec.size).

    Bilinear with antialiasing, stretched to a square.
    """
    resized = image.resize((spec.size, spec.size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized, dtype=np.uint8)).permute(2, 0, 1)


def normalise(batch: torch.Tensor, spec: Input) -> torch.Tensor:
    """uint8 (N, 3, H, W) -> float32 of the same shape: (pixel / 255 - mean) / std by channel."""
    mean = torch.tensor(spec.mean, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=batch.device).view(1, 3, 1, 1)
    return (batch.float() / 255 - mean) / std


def batch(images: Sequence[Image.Image], spec: Input, device: torch.device) -> torch.Tensor:
    """RGB pictures -> the network's input: float32 (N, 3, spec.size, spec.size) on `device`."""
    return normalise(torch.stack([pixels(image, spec) for image in images]).to(device), spec)
