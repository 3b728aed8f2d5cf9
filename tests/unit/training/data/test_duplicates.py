"""One image in two files is found by its pixels, and images that only look alike to a digest of some rows are kept."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from handlers.modalities.image import images
from models.window import Percentiles
from tests.unit.training.data.test_folder import fill, picture
from training.data import DataError, folder, pixel_digest, table
from training.data.folder import load
from training.data.sixteen_bits import SixteenBits

NOISE = np.random.default_rng(0).integers(0, 255, (90, 60, 3)).astype(np.uint8)
PHOTO = Image.fromarray(NOISE)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def copies() -> dict[str, tuple[bytes, bytes]]:
    """An image, and the same image in another file."""
    png, jpeg = saved(PHOTO), saved(PHOTO, "JPEG", quality=90)
    note = PngImagePlugin.PngInfo()
    note.add_text("camera", "another")
    turned = Image.Exif()
    turned[0x0112] = 6
    gray, palette = PHOTO.convert("L"), PHOTO.quantize(16)
    wide = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    hidden = np.dstack([NOISE, np.full((90, 60), 255, np.uint8)])
    hidden[:10, :, 3] = 0
    other = hidden.copy()
    other[:10, :, :3] = 77
    return {
        "other compression": (png, saved(PHOTO, compress_level=0)),
        "other metadata": (png, saved(PHOTO, pnginfo=note)),
        "lossless WebP": (png, saved(PHOTO, "WEBP", lossless=True)),
        "decoded JPEG": (jpeg, saved(Image.open(io.BytesIO(jpeg)))),
        "JPEG with other metadata": (jpeg, jpeg[:2] + b"\xff\xfe\x00\x07hello" + jpeg[2:]),
        "EXIF orientation": (png, saved(PHOTO.transpose(Image.Transpose.ROTATE_90), exif=turned)),
        "gray as RGB": (saved(gray), saved(gray.convert("RGB"))),
        "palette as RGB": (saved(palette), saved(palette.convert("RGB"))),
        "8 bits as 16": (saved(gray), saved(wide)),
        "colors that transparency hides": (saved(Image.fromarray(hidden)), saved(Image.fromarray(other))),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", copies())
@pytest.mark.parametrize("place", ["test", "val"])
def test_copy_of_a_training_image_is_not_measured(tmp_path: Path, kind: str, place: str) -> None:
    original, copy = copies()[kind]
    assert hashlib.sha256(original).digest() != hashlib.sha256(copy).digest()
    for first, name in enumerate(("train", "test", "val")):
        fill(tmp_path / name, 10 * first, cat=6, dog=6)
    (tmp_path / "train" / "cat" / "original").write_bytes(original)
    (tmp_path / place / "cat" / "copy").write_bytes(copy)
    dataset, data_warnings = load(tmp_path)
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [13, 6 * 2, 6 * 2]
    split = {"test": "test", "val": "calibration"}[place]
    assert data_warnings == [
        f"1 of 13 {split} images have the same pixels as images of train: they are left out of {split}",
        "left out: 1 in all, beside 37 images that are used",
        f"left out: {tmp_path}/{place}/cat/copy: the same image as {tmp_path}/train/cat/original",
    ]


def test_copies_in_a_table_with_splits_are_not_measured(tmp_path: Path) -> None:
    rows = []
    for number in range(24):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
        rows.append(f"{number}.png,{'cat' if number % 2 else 'dog'},{'train' if number < 20 else 'test'}")
    for number in range(4):
        (tmp_path / f"copy{number}.webp").write_bytes(
            saved(Image.open(io.BytesIO(picture(number))), "WEBP", lossless=True)
        )
        rows.append(f"copy{number}.webp,{'cat' if number % 2 else 'dog'},test")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    dataset, data_warnings = table.load(tmp_path / "list.csv")
    assert sorted(dataset.test.names) == ["20.png", "21.png", "22.png", "23.png"]
    assert data_warnings[0] == "4 of 8 test images have the same pixels as images of train: they are left out of test"


def test_test_split_of_copies_alone_is_an_error_that_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "train", cat=6, dog=6)
    fill(tmp_path / "test", cat=6, dog=6)
    with pytest.raises(DataError, match=r"no image of cat, dog.*12 of 12 test images have the same pixels as images"):
        load(tmp_path)


def test_copy_under_another_class_leaves_out_both(tmp_path: Path) -> None:
    root = fill(tmp_path, cat=9, dog=9)
    (root / "cat" / "a.png").write_bytes(saved(PHOTO))
    (root / "dog" / "b.webp").write_bytes(saved(PHOTO, "WEBP", lossless=True))
    dataset, data_warnings = load(root)
    assert sum(map(len, (dataset.train, dataset.calibration, dataset.test))) == 18
    assert [finding.rpartition(": ")[2] for finding in data_warnings[1:]] == [
        "the same image is labeled cat and dog"
    ] * 2


def test_images_that_differ_in_one_pixel_are_two(tmp_path: Path) -> None:
    """The rows of the sample do not show the difference."""
    pixels = np.full((400, 8, 3), 200, np.uint8)
    other = pixels.copy()
    other[1, 3] = 0
    assert pixel_digest.sample(pixels) == pixel_digest.sample(other)
    assert pixel_digest.full(pixels) != pixel_digest.full(other)
    root = fill(tmp_path, cat=9, dog=9)
    (root / "cat" / "a.png").write_bytes(saved(Image.fromarray(pixels)))
    (root / "dog" / "b.png").write_bytes(saved(Image.fromarray(other)))
    dataset, data_warnings = load(root)
    assert (sum(map(len, (dataset.train, dataset.calibration, dataset.test))), data_warnings) == (20, [])


def test_images_of_other_sizes_with_the_same_bytes_are_two() -> None:
    flat = np.zeros((4, 9), np.uint8)
    assert len({pixel_digest.full(flat.reshape(shape)) for shape in ((4, 9), (9, 4), (6, 6), (2, 18))}) == 4


def test_lossy_copy_has_other_pixels() -> None:
    """test_near_copies.py shows that it is found all the same."""
    lossy = np.asarray(images.decode(saved(PHOTO, "JPEG", quality=90)))
    assert pixel_digest.sample(lossy) != pixel_digest.sample(NOISE)


def twelve_bits(number: int, high: int) -> bytes:
    random = np.random.default_rng(number)
    return saved(Image.fromarray(random.integers(400, high, (16, 16)).astype(np.uint16)))


def test_images_of_12_bits_are_told_apart_though_8_bits_of_them_are_equal(tmp_path: Path) -> None:
    for first, label, high in ((0, "healthy", 450), (9, "ill", 480)):  # in 8 bits both are 2 everywhere
        (tmp_path / label).mkdir()
        for number in range(9):
            (tmp_path / label / f"{number}.png").write_bytes(twelve_bits(first + number, high))
    dataset, data_warnings = folder.load(tmp_path)
    assert (sum(map(len, (dataset.train, dataset.calibration, dataset.test))), data_warnings) == (18, [])
    assert dataset.sixteen_bits == SixteenBits(18, 400, 479)


def test_range_that_loses_shades_is_said_with_the_one_to_set() -> None:
    detector = SixteenBits(18, 400, 599)
    assert detector.warning((0, 65_535)) == (
        "18 gray images of 16 bits use the values 400 to 599, while input.window is [0, 65535]: 2 shades of gray are "
        "left of them; set input.window to the values that matter, such as [400, 599] or [0, 1023] "
        "(--set input.window=[400,599]), or to percentiles of each image "
        "(--set 'input.window={percentiles: [1, 99]}')"
    )
    assert "13 shades" in str(SixteenBits(18, 400, 599).warning((0, 4_095)))
    assert "some are beyond it" in str(detector.warning((400, 500)))
    assert detector.warning((400, 599)) is None
    assert detector.warning((350, 700)) is None
    assert SixteenBits(5, 0, 65_000).warning((0, 65_535)) is None
    assert SixteenBits(5, 7, 8).warning((7, 8)) is None
    assert detector.warning(Percentiles(percentiles=(1, 99))) is None
