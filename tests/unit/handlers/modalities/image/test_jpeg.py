"""JPEGs decoded without Pillow: the same pixels, the same errors, and resized to the same but for roundings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image

from handlers.errors import CorruptImage, RequestError, UnsupportedImage
from handlers.modalities.image import images, jpeg
from models.card import Input
from tests.unit.handlers.modalities.image.test_images import encoded, noise
from tests.unit.handlers.modalities.image.test_scaled_decode import photo

ROOT = Path(images.__file__).parents[3]


def spec(size: int, resize: str = "stretch") -> Input:
    return Input(size=size, resize=resize, crop=0.875, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def fast(content: bytes, size: int | None = None) -> np.ndarray | None:
    opened = images.open(content)
    reduced = size is not None and jpeg.reduce(opened, 2 * size, images.VIEW_SIDE)
    return jpeg.decode(opened, reduced=reduced)


def slow(content: bytes, size: int | None = None) -> np.ndarray:
    opened = images.open(content)
    if size is not None:
        jpeg.reduce(opened, 2 * size, images.VIEW_SIDE)
    return np.asarray(opened)


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise AssertionError("Pillow is asked to decode")

    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", fails)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (9, 5), (3, 700), (515, 389), (1030, 1023), (2401, 1603)])
def test_the_pixels_are_those_that_pillow_decodes(
    width: int, height: int, subsampling: int, progressive: bool, mode: str
) -> None:
    how = {"subsampling": subsampling, "progressive": progressive, "quality": 90}
    content = encoded(photo(width, height).convert(mode), "JPEG", **how)
    for size in (None, 24, 300):
        found, expected = fast(content, size), slow(content, size)
        assert found is not None
        assert (found.dtype, found.shape) == (np.uint8, expected.shape)
        assert np.array_equal(found, expected)


def test_complete_jpeg_in_memory_is_decoded_by_simplejpeg(without_pillow: None) -> None:
    for content in (encoded(noise(40, 30), "JPEG"), encoded(noise(2048, 1200), "JPEG", progressive=True)):
        picture = images.decode(content, 24)
        assert isinstance(picture, np.ndarray)
    assert picture.shape == (300, 512, 3)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_bytes_like_object_is_decoded(kind: type, without_pillow: None) -> None:
    content = encoded(noise(40, 30), "JPEG")
    assert np.array_equal(images.decode(kind(content)), images.decode(content))


@pytest.mark.parametrize(("mode", "how"), [("CMYK", {}), ("RGB", {"exif": True})])
def test_jpeg_that_pillow_converts_is_decoded_by_pillow(mode: str, how: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    content = encoded(noise(40, 30).convert(mode), "JPEG", **({"exif": exif} if how else {}))
    picture = images.decode(content)
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (30, 40) if how else (40, 30))


@pytest.mark.parametrize("size", [None, 24])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_truncated_jpeg_gets_pillows_error(share: float, size: int | None) -> None:
    content = encoded(noise(1200, 800), "JPEG")
    cut = content[: int(len(content) * share)]
    assert fast(cut, size) is None
    with pytest.raises(CorruptImage, match="the JPEG image is cut short or corrupt"):
        images.decode(cut, size)


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_that_were_changed_give_the_pixels_that_pillow_gives(progressive: bool) -> None:
    content = encoded(noise(48, 40), "JPEG", progressive=progressive)
    generator = np.random.default_rng(0)
    without_complaint = forgiven = 0
    for place in generator.integers(20, len(content), 300).tolist():
        changed = bytearray(content)
        changed[place] ^= int(generator.integers(1, 256))
        try:
            found = fast(bytes(changed))
        except RequestError:
            continue  # not even its header can be read
        try:
            expected = slow(bytes(changed))
        except OSError:
            assert found is None
            continue
        assert np.array_equal(np.asarray(images.decode(changed)), expected)
        without_complaint += found is not None
        forgiven += found is None
    assert without_complaint > 50
    assert forgiven > 5, "with warnings, after which Pillow decides"


def test_jpeg_from_a_file_is_decoded_by_pillow(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(noise(40, 30), "JPEG"))
    with Image.open(tmp_path / "a.jpg") as opened:
        assert jpeg.decode(opened, reduced=False) is None


def test_want_of_memory_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **named: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(simplejpeg, "decode_jpeg", fails)
    with pytest.raises(MemoryError):
        images.decode(encoded(noise(9, 9), "JPEG"))


def with_scans(count: int) -> bytes:
    """A progressive JPEG of one gray block, with its last scan, which refines one coefficient, over and over."""
    content = encoded(noise(16, 16).convert("L"), "JPEG", progressive=True)
    last, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    return content[:last] + content[last:end] * (count + 1 - content.count(b"\xff\xda")) + content[end:]


def test_a_jpeg_with_absurdly_many_scans_is_refused_before_any_is_decoded() -> None:
    assert images.open(with_scans(jpeg.MAX_SCANS)).size == (16, 16)
    with pytest.raises(UnsupportedImage, match="the JPEG image has more than 100 scans: save it again") as raised:
        images.open(with_scans(jpeg.MAX_SCANS + 1))
    assert raised.value.status == 415


def test_progressive_jpeg_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By Pillow, since libjpeg-turbo complains of scans that come twice, but only when it has gone through all."""
    asked = []
    decode = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *how, **more: asked.append(1) or decode(*how, **more))
    assert isinstance(images.decode(with_scans(jpeg.FEW_SCANS + 1)), Image.Image)
    assert asked == []
    images.decode(with_scans(jpeg.FEW_SCANS))
    assert asked == [1]


def test_a_progressive_jpeg_as_cameras_write_them_is_decoded() -> None:
    content = encoded(noise(64, 48), "JPEG", progressive=True)
    assert 5 < content.count(b"\xff\xda") < 20
    assert images.decode(content).shape == (48, 64, 3)


# ---- resized


@pytest.mark.slow
@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize(
    ("width", "height"), [(500, 375), (375, 500), (333, 500), (224, 224), (96, 80), (7, 900), (1, 1), (4000, 3001)]
)
def test_an_array_is_resized_to_what_pillow_resizes_it_to(width: int, height: int, resize: str) -> None:
    image = photo(width, height)
    for pixels_of in (images.pixels, images.before_crop):
        ours, pillows = (pixels_of(form, spec(224, resize)).int() for form in (np.array(image), image))
        difference = ours - pillows
        assert int(difference.abs().max()) <= 1
        assert abs(float(difference.float().mean())) < 0.02, "roundings go either way"


def test_array_pixels_are_the_center_of_the_pre_crop_image() -> None:
    picture, about = np.array(photo(500, 375)), spec(224, "crop")
    assert torch.equal(images.pixels(picture, about), images.before_crop(picture, about)[:, 16:240, 16:240])
    assert images.seen(picture, about) == images.seen(Image.fromarray(picture), about)
    assert images.seen(picture, about) == pytest.approx((62 + 375 / 16, 375 / 16, 437 - 375 / 16, 375 - 375 / 16))


@pytest.mark.slow
def test_a_processor_without_wide_instructions_gives_the_same_pixels() -> None:
    """Compare two machines: one measures and another serves."""
    program = """
import hashlib, numpy, torch
from handlers.modalities.image import images
from models.card import Input
spec = Input(size=224, resize="crop", mean=(0, 0, 0), std=(1, 1, 1))
noise = numpy.random.default_rng(0)
for shape in ((375, 500, 3), (2000, 1500, 3), (96, 96), (240, 1300)):
    pixels = images.pixels(noise.integers(0, 256, shape, dtype=numpy.uint8), spec)
    print(torch.backends.cpu.get_cpu_capability(), hashlib.sha256(pixels.contiguous().numpy().data).hexdigest())
"""
    said = []
    for capability in ("default", ""):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment |= {"ATEN_CPU_CAPABILITY": capability} if capability else {}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        said.append([line.split() for line in done.stdout.splitlines()])
    assert [words[0] for words in said[0]] == ["DEFAULT"] * 4
    assert [words[1] for words in said[0]] == [words[1] for words in said[1]]
