from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from handlers.explain.evidence.neighbors import EMBEDDINGS, LABELS, Neighbors
from models.card import Input
from training import neighbors
from training.data.dataset import Split

SPEC = Input(size=8, mean=(0, 0, 0), std=(1, 1, 1))


def test_classes_are_taken_in_proportion_in_order_and_the_same_each_time() -> None:
    labels = [0] * 600 + [1] * 300 + [2] * 100
    rows = neighbors.choice(labels, 100, seed=1)
    counts = Counter(labels[row] for row in rows)
    assert [abs(counts[label] - share) <= 1 for label, share in enumerate((60, 30, 10))] == [True] * 3
    assert rows == sorted(set(rows))
    assert len(rows) == 100
    assert rows == neighbors.choice(labels, 100, seed=1)
    assert rows != neighbors.choice(labels, 100, seed=2)


def test_the_choice_is_drawn_and_not_the_first_ones() -> None:
    rows = neighbors.choice([0] * 1000, 100, seed=0)
    assert 350 < sum(rows) / len(rows) < 650


def test_a_rare_class_is_there_too() -> None:
    labels = [0] * 5000 + [1]
    assert 5000 in neighbors.choice(labels, 10, seed=0)


def test_few_rows_go_to_every_process() -> None:
    assert neighbors.choice([1, 0, 1], 5000, seed=0) == [0, 1, 2]


def test_each_image_is_its_own_nearest_with_its_class_and_its_picture() -> None:
    shades = [20, 90, 160, 230]
    split = Split([np.full((10, 10, 3), shade, np.uint8) for shade in shades], [0, 1, 1, 0])
    embeddings = 1e6 * torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])  # more than float16 can hold
    made = Neighbors(neighbors.tensors(split, SPEC, embeddings), ("cat", "dog"))
    for row, shade, (found,) in zip(range(4), shades, made.nearest(embeddings, 1), strict=True):
        assert (found.index, found.distance) == (split.labels[row], pytest.approx(0, abs=1e-3))
        picture = np.asarray(Image.open(io.BytesIO(found.thumbnail)).convert("RGB")).astype(int)
        assert abs(picture - shade).max() <= 4


@pytest.mark.parametrize(
    ("shape", "resize", "size"),
    [((300, 200), "stretch", (32, 48)), ((300, 200), "crop", (48, 48)), ((12, 20), "stretch", (20, 12))],
)
def test_a_thumbnail_is_small_and_shows_what_the_network_sees(
    shape: tuple[int, int], resize: str, size: tuple[int, int]
) -> None:
    spec = SPEC.model_validate(SPEC.model_dump() | {"resize": resize})
    content = neighbors.thumbnail(np.zeros((*shape, 3), np.uint8), spec)
    assert Image.open(io.BytesIO(content)).size == size


def test_the_file_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3), dtype=np.uint8)
    split = Split(list(noise), [0, 1] * 20)
    assert len(save(neighbors.tensors(split, SPEC, torch.rand(40, 512)))) < 40 * 8_000_000 / neighbors.MOST * 2
    monkeypatch.setattr(neighbors, "EMBEDDING_BYTES", 20_000)
    large = neighbors.tensors(split, SPEC, torch.rand(40, 2048))
    assert large[EMBEDDINGS].shape == (4, 2048)
    assert large[LABELS].bincount().tolist() == [2, 2]
    assert len(neighbors.tensors(split, SPEC, torch.rand(40, 8), max_images=10)[LABELS]) == 10
