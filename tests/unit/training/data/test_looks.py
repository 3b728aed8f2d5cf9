"""Images that show little are said: transparent ones, and ones that use a few of the 256 shades."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handlers.modalities.image import images
from tests.unit.training.data.test_duplicates import saved
from training.data import DataError, appearance
from training.data.folder import load

RANDOM = np.random.default_rng(1)
NOISE = RANDOM.integers(0, 256, (20, 20, 3)).astype(np.uint8)
DISC = (np.hypot(*(np.mgrid[:20, :20] - 10)) < 6).astype(np.uint8)


def layer(color: int | np.ndarray, alpha: np.ndarray | int) -> bytes:
    colors = np.full((20, 20, 3), color, np.uint8) if isinstance(color, int) else color
    return saved(Image.fromarray(np.dstack([colors, np.broadcast_to(np.uint8(alpha), (20, 20))])))


@pytest.mark.parametrize(
    ("content", "is_lost"),
    [
        (layer(255, DISC * 255), True),  # white on white
        (layer(NOISE, 0), True),
        (layer(NOISE, 20), True),
        (layer(0, DISC * 30), True),
        (layer(0, DISC * 255), False),
        (layer(NOISE, 255), False),
        (layer(NOISE, DISC * 255), False),
        (layer(250, 255), False),  # one color, and not because of transparency
        (saved(Image.fromarray(NOISE)), False),
        (saved(Image.fromarray(NOISE).quantize(8), transparency=0), False),
    ],
)
def test_image_that_transparency_hides_is_recognized(content: bytes, is_lost: bool) -> None:
    assert appearance.look(content)[1].is_lost is is_lost


def test_images_whose_content_is_in_the_transparency_are_said(tmp_path: Path) -> None:
    for label in ("disc", "noise"):
        (tmp_path / label).mkdir()
        for number in range(9):
            alpha = RANDOM.integers(0, 256, (20, 20)) if label == "noise" else np.roll(DISC, number, 0) * 255
            (tmp_path / label / f"{number}.png").write_bytes(layer(255, alpha))
    with pytest.raises(DataError, match=r"18 of 18 images are transparent, and show next to nothing on the white"):
        load(tmp_path)


def fill(root: Path, high: int) -> Path:
    for label in ("a", "b"):
        (root / label).mkdir()
        for number in range(9):
            content = saved(Image.fromarray(RANDOM.integers(0, high, (20, 20, 3)).astype(np.uint8)))
            (root / label / f"{number}.png").write_bytes(content)
    return root


def test_images_that_use_few_shades_are_said(tmp_path: Path) -> None:
    _, data_warnings = load(fill(tmp_path, 16))
    assert data_warnings == [
        "the images use the values 0 to 15 of 0 to 255: 16 shades are little to learn from. Convert the original "
        "images again, with the range of their values"
    ]


def test_images_that_use_enough_shades_are_not_said(tmp_path: Path) -> None:
    assert load(fill(tmp_path, 40))[1] == []


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """A PNG (www.w3.org/TR/png) with 16 bits in each of its three channels, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colors_of_12_bits_in_16_are_said_with_the_reason(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(9):
            content = sixteen_bit_png(RANDOM.integers(0, 4_096, (20, 20, 3)))
            (tmp_path / label / f"{number}.png").write_bytes(content)
    _, data_warnings = load(tmp_path)
    assert "18 of them are PNG files of 16 bits with colors or transparency" in data_warnings[0]


def test_cmyk_jpeg_shows_its_colors() -> None:
    red = Image.new("RGB", (20, 20), (200, 30, 40))
    pixels = np.asarray(images.decode(saved(red.convert("CMYK"), "JPEG", quality=95)))
    assert np.abs(pixels.mean((0, 1)) - (200, 30, 40)).max() < 6
