"""Batch sources in memory and on disk return the same images."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from handlers.modalities.image import images
from models.card import Input
from training.data.dataset import DataError, RawImage, Split
from training.data.files import Files
from training.loop import loader
from training.loop.loader import InMemory, Streamed, fitted, in_batches, load

CPU = torch.device("cpu")
SPEC = Input(size=8, resize="crop", crop=0.5, mean=(0, 0, 0), std=(1, 1, 1))


def encoded(seed: int) -> bytes:
    array = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """40 images on disk."""
    names = tuple(f"{number}.png" for number in range(40))
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(encoded(number))
    return Split(Files(tmp_path, names), [number % 3 for number in range(40)], names)


def test_small_splits_are_in_memory_and_large_ones_streamed(split: Split) -> None:
    size = 40 * 3 * 16 * 16
    assert isinstance(load(split, SPEC, CPU, max_bytes=size), InMemory)
    assert isinstance(load(split, SPEC, CPU, max_bytes=size - 1), Streamed)


@pytest.mark.parametrize("kept", [True, False], ids=["memory", "streamed"])
def test_batches_are_the_uncropped_images_of_their_rows(split: Split, kept: bool) -> None:
    source = load(split, SPEC, CPU) if kept else Streamed(split, SPEC, CPU)
    assert source.labels.tolist() == split.labels
    assert source.name(7) == "7.png"
    order = [torch.tensor(rows) for rows in ([3, 39, 0], [5], [3, 3], list(range(40)))]
    for rows, batch in zip(order, source.batches(order), strict=True):
        assert (batch.dtype, batch.shape) == (torch.uint8, (len(rows), 3, 16, 16))
        for row, uncropped in zip(rows.tolist(), batch, strict=True):
            assert torch.equal(uncropped, images.before_crop(images.picture(split.images[row], SPEC), SPEC))
    assert list(source.batches([])) == []


def test_the_center_of_an_uncropped_image_is_what_is_served(split: Split) -> None:
    (batch,) = load(split, SPEC, CPU).batches([torch.arange(40)])
    for content, seen in zip(split.images, images.center_crop(batch, SPEC.size), strict=True):
        assert torch.equal(seen, images.pixels(images.picture(content, SPEC), SPEC))


def test_arrays_are_read_like_files(split: Split) -> None:
    arrays = [np.asarray(Image.open(io.BytesIO(content))) for content in split.images]
    (one,) = load(split, SPEC, CPU).batches([torch.arange(40)])
    (other,) = load(Split(arrays, split.labels), SPEC, CPU).batches([torch.arange(40)])
    assert torch.equal(one, other)


@dataclasses.dataclass
class Counted(Sequence[RawImage]):
    """Images that remember which of them were asked for."""

    content: bytes
    asked: list[int]

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]
        self.asked.append(index)
        return self.content

    def __len__(self) -> int:
        return 1000


def test_prefetch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_cores", lambda: 2)
    counted = Counted(encoded(0), [])
    threads = threading.active_count()
    batches = Streamed(Split(counted, [0] * 1000), SPEC, CPU).batches(torch.split(torch.arange(1000), 10))
    next(batches)
    assert 10 <= len(counted.asked) <= 10 * (1 + loader.AHEAD) + 1
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(counted.asked) <= 10 * (2 + loader.AHEAD) + 1, "who stops asking gets no more"
    assert threading.active_count() == threads


@pytest.mark.parametrize("kept", [True, False], ids=["memory", "streamed"])
def test_a_file_that_broke_since_it_was_checked_is_named(split: Split, tmp_path: Path, kept: bool) -> None:
    (tmp_path / "11.png").write_bytes(encoded(11)[:60])
    with pytest.raises(DataError, match=r"^11\.png: the PNG image is cut short"):
        list(load(split, SPEC, CPU, max_bytes=10**9 * kept).batches([torch.arange(40)]))


@pytest.mark.parametrize("kept", [True, False], ids=["memory", "streamed"])
def test_a_file_that_went_since_it_was_checked_is_named(split: Split, tmp_path: Path, kept: bool) -> None:
    (tmp_path / "11.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"11\.png"):
        list(load(split, SPEC, CPU, max_bytes=10**9 * kept).batches([torch.arange(40)]))


@pytest.mark.parametrize("kept", [True, False], ids=["memory", "streamed"])
def test_mean_and_deviation_are_those_of_the_training_pixels(split: Split, kept: bool) -> None:
    source = load(split, SPEC, CPU) if kept else Streamed(split, SPEC, CPU)
    (batch,) = source.batches([torch.arange(40)])
    found = fitted(SPEC, source)
    assert found.mean == pytest.approx((batch.double() / 255).mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
    assert found.std == pytest.approx((batch.double() / 255).std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-4)
    assert (found.size, found.resize, found.crop) == (8, "crop", 0.5)


def test_large_splits_are_sampled(split: Split) -> None:
    source = load(split, SPEC, CPU)
    asked: list[list[int]] = []
    whole = source.batches
    source.batches = lambda order: asked.extend(rows.tolist() for rows in order) or whole(order)  # type: ignore
    fitted(SPEC, source, sample=5)
    assert asked == [[0, 10, 20, 29, 39]]


def test_images_of_one_color_have_a_deviation_to_divide_by() -> None:
    gray = Split([np.full((8, 8, 3), 100, np.uint8)] * 3, [0, 1, 0])
    assert min(fitted(SPEC, load(gray, SPEC, CPU)).std) > 0


@pytest.mark.parametrize("count", range(1, 40))
@pytest.mark.parametrize("size", [1, 2, 5, 32])
def test_batches_have_each_row_once_and_none_is_of_one_row_alone(count: int, size: int) -> None:
    found = in_batches(torch.arange(count), size)
    assert torch.cat(found).tolist() == list(range(count))
    assert all(len(rows) == size for rows in found[:-1])
    assert 1 <= len(found[-1]) <= size + 1
    assert size == 1 or count == 1 or all(len(rows) > 1 for rows in found)
