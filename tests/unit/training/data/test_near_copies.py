"""Copies with other pixels are found, images of simple things are not taken for copies, and all of it is said."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from handlers.modalities.image import images
from tests.unit.training.data.test_duplicates import saved
from training.data import near_copies
from training.data.builtin import digits, shapes
from training.data.folder import load

RANDOM = np.random.default_rng(0)


def photo(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A smooth random image in color."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 90": lambda image: saved(image, "JPEG", quality=90),
    "JPEG of quality 40": lambda image: saved(image, "JPEG", quality=40),
    "lossy WebP": lambda image: saved(image, "WEBP", quality=50),
    "half the size": lambda image: saved(image.resize((60, 45))),
    "twice the size": lambda image: saved(image.resize((240, 180))),
    "stretched to a square": lambda image: saved(image.resize((64, 64))),
    "gray": lambda image: saved(image.convert("L")),
    "darker": lambda image: saved(ImageEnhance.Brightness(image).enhance(0.9)),
    "less contrast": lambda image: saved(ImageEnhance.Contrast(image).enhance(0.8)),
}


def pairs(*contents: bytes) -> list[list[int]]:
    rows: list[list[int]] = near_copies.find(
        [near_copies.thumbnail(images.decode(content)) for content in contents]
    ).rows.tolist()
    return rows


@pytest.mark.parametrize("kind", COPIES)
def test_copy_with_other_pixels_is_found(kind: str) -> None:
    others = [saved(photo(seed)) for seed in range(1, 30)]
    assert pairs(saved(photo(0)), *others, COPIES[kind](photo(0))) == [[0, 30]]


def test_hash_is_that_of_imagehash() -> None:
    small = RANDOM.integers(0, 256, (50, 32, 32)).astype(np.uint8)
    expected = [int(str(imagehash.phash(Image.fromarray(image))), 16) for image in small]
    assert near_copies.perceptual_hashes(small).tolist() == expected


def test_candidates_are_those_of_a_comparison_of_all_hashes() -> None:
    first = RANDOM.integers(0, 2**63, 300).astype(np.uint64)
    flipped = first.copy()
    for row in range(300):
        for bit in RANDOM.choice(64, row % 8, replace=False):
            flipped[row] ^= np.uint64(1) << np.uint64(bit)
    hashes = np.concatenate([first, flipped])
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = np.argwhere(np.triu(distances <= near_copies.MAX_DISTANCE, 1)).tolist()
    candidates, complete = near_copies._candidates(hashes)
    assert (candidates.tolist(), complete) == (expected, True)
    assert len(expected) >= 180


def test_work_is_bounded_where_all_images_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_copies, "MAX_CANDIDATES", 100)
    frame = near_copies.thumbnail(photo(0))
    found = near_copies.find([frame] * 200)
    assert not found.complete
    assert len(np.unique(found.rows)) == 200


@pytest.mark.slow
def test_different_images_are_not_taken_for_copies() -> None:
    split = digits.load().train
    large = [Image.fromarray(np.asarray(images.decode(content))).resize((28, 28)) for content in split.images]
    assert len(pairs(*map(saved, large))) <= 0.002 * len(large)
    assert pairs(*split.images) == [], "8 pixels are too few"
    drawn = shapes.load().train
    assert pairs(*[saved(Image.fromarray(pixels)) for pixels in drawn.images[:1000]]) == []


def test_flat_images_are_not_compared() -> None:
    noise = RANDOM.integers(0, 3, (4, 50, 50)).astype(np.uint8)
    assert pairs(*[saved(Image.fromarray(image + 120)) for image in noise]) == []


def folders(root: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def originals(split: str, start: int) -> dict[str, bytes]:
    return {
        f"{split}/{label}/{seed}.png": saved(photo(seed))
        for label, first in (("cat", start), ("dog", start + 8))
        for seed in range(first, first + 8)
    }


def test_copies_across_given_splits_are_said_and_stay(tmp_path: Path) -> None:
    contents = {**originals("train", 0), **originals("val", 20), **originals("test", 40)}
    for seed in range(4):
        contents[f"test/cat/again{seed}.jpg"] = COPIES["JPEG of quality 90"](photo(seed))
    contents["val/dog/again.jpg"] = COPIES["half the size"](photo(9))
    dataset, data_warnings = load(folders(tmp_path, contents))
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [16, 17, 20]
    assert len(data_warnings) == 2
    assert data_warnings[0].startswith(
        "4 of 20 test images look like copies of training or calibration images (saved again, resized, or with another "
        "brightness), such as test/cat/again0.jpg and train/cat/0.png, "
    )
    assert "the figures of the test split are too good. They are not removed" in data_warnings[0]
    assert data_warnings[1].startswith("1 of 17 calibration images looks like a copy of training images")


def test_copies_of_two_classes_are_said(tmp_path: Path) -> None:
    contents = originals("", 0) | {"dog/wrong.jpg": COPIES["JPEG of quality 90"](photo(3))}
    _, data_warnings = load(folders(tmp_path, {name.strip("/"): content for name, content in contents.items()}))
    assert data_warnings == [
        "1 pair of images with different classes look like copies of each other, such as cat/3.png (cat) and "
        "dog/wrong.jpg (dog): check their labels"
    ]


def test_copies_stay_in_one_split_where_splits_are_drawn(tmp_path: Path) -> None:
    contents = {name.strip("/"): content for name, content in originals("", 0).items()}
    contents |= {
        name.replace(".png", "b.jpg"): COPIES["half the size"](photo(int(Path(name).stem))) for name in contents
    }
    dataset, data_warnings = load(folders(tmp_path, contents))
    seeds = [{Path(name).stem.rstrip("b") for name in split.names} for split in (dataset.train, dataset.calibration)]
    seeds.append({Path(name).stem.rstrip("b") for name in dataset.test.names})
    assert sum(map(len, seeds)) == 16 == len(set.union(*seeds))
    assert len(data_warnings) == 1
    assert data_warnings[0].startswith("32 of 32 images look like copies of others in the same split")


def test_copies_are_divided_where_a_class_has_too_few_different_images(tmp_path: Path) -> None:
    contents = {
        f"{label}/{n}.jpg": saved(photo(seed), "JPEG", quality=80 + n)
        for label, seed in (("cat", 1), ("dog", 2))
        for n in range(10)
    }
    _, data_warnings = load(folders(tmp_path, contents))
    assert data_warnings[0].startswith("4 of 4 test images look like copies of training or calibration images")
    assert data_warnings[1].startswith("4 of 4 calibration images look like copies")


def test_images_of_12_bits_are_compared_by_the_values_that_they_use(tmp_path: Path) -> None:
    contents = {}
    for seed in range(12):
        wide = np.asarray(photo(seed).convert("L")).astype(np.uint16) + 400
        contents[f"{'cat' if seed % 2 else 'dog'}/{seed}.png"] = saved(Image.fromarray(wide))
    contents["cat/again.png"] = saved(Image.fromarray(np.asarray(Image.open(io.BytesIO(contents["cat/1.png"]))) + 9))
    _, data_warnings = load(folders(tmp_path, contents))
    assert len(data_warnings) == 1
    assert "cat/1.png and cat/again.png" in data_warnings[0]
