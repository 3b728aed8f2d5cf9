from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from handlers.explain.evidence.neighbors import EMBEDDINGS, ENDS, LABELS, THUMBNAILS, Neighbors, NeighborsError
from models.card import Card
from models.release import NEIGHBORS

CLASSES = ("cat", "dog")


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    """Four training images, at 0, 45, 90 and 180 degrees."""
    return {
        EMBEDDINGS: torch.tensor([[1, 0], [1, 1], [0, 1], [-1, 0]], dtype=torch.float16),
        LABELS: torch.tensor([0, 1, 1, 0], dtype=torch.int32),
        THUMBNAILS: torch.tensor(list(b"abbccc"), dtype=torch.uint8),
        ENDS: torch.tensor([1, 3, 6, 6]),
    }


@pytest.fixture
def vouched(card: Card) -> Card:
    return card.model_copy(update={"classes": CLASSES, "digests": card.digests | {NEIGHBORS: "2" * 64}})


def test_the_nearest_come_first_whatever_their_length(tensors: dict[str, torch.Tensor]) -> None:
    first, second = Neighbors(tensors, CLASSES).nearest(torch.tensor([[7.0, 0.0], [0.1, 0.2]]), 4)
    assert [(neighbor.label, neighbor.index, neighbor.distance, neighbor.thumbnail) for neighbor in first] == [
        ("cat", 0, 0.0, b"a"),
        ("dog", 1, 0.2929, b"bb"),
        ("dog", 1, 1.0, b"ccc"),
        ("cat", 0, 2.0, b""),
    ]
    assert [neighbor.thumbnail for neighbor in second] == [b"bb", b"ccc", b"a", b""]
    assert second[0].members() == {"label": "dog", "index": 1, "distance": 0.0513}


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (3, 3), (9, 4)])
def test_neighbors_are_as_many_as_requested_or_stored(
    tensors: dict[str, torch.Tensor], count: int, expected: int
) -> None:
    assert [len(row) for row in Neighbors(tensors, CLASSES).nearest(torch.rand(3, 2), count)] == [expected] * 3


def test_first_thumbnails_have_the_classes_in_proportion() -> None:
    labels = [0] * 6 + [1] * 3
    stored = Neighbors(
        {
            EMBEDDINGS: torch.ones(9, 2).half(),
            LABELS: torch.tensor(labels, dtype=torch.int32),
            THUMBNAILS: torch.arange(9, dtype=torch.uint8),
            ENDS: torch.arange(1, 10),
        },
        CLASSES,
    )
    rows = [content[0] for content in stored.thumbnails(20)]
    assert sorted(rows) == list(range(9))
    for count in (3, 6):
        assert sorted(labels[row] for row in rows[:count]) == [0] * (2 * count // 3) + [1] * (count // 3)


def test_each_image_of_a_batch_has_the_neighbors_it_has_alone() -> None:
    torch.manual_seed(1)
    count = 2000
    many = Neighbors(
        {
            EMBEDDINGS: torch.randn(count, 64).relu().half(),
            LABELS: torch.randint(2, (count,), dtype=torch.int32),
            THUMBNAILS: torch.randint(256, (count,), dtype=torch.uint8),
            ENDS: torch.arange(1, count + 1),
        },
        CLASSES,
    )
    queries = torch.randn(20, 64).relu()
    assert many.nearest(queries, 10) == [many.nearest(row[None], 10)[0] for row in queries]


def test_neighbors_of_a_release_are_loaded(tensors: dict[str, torch.Tensor], vouched: Card, tmp_path: Path) -> None:
    save_file(tensors, tmp_path / NEIGHBORS)
    loaded = Neighbors.load(tmp_path, vouched)
    assert loaded is not None
    assert len(loaded) == 4
    assert loaded.nearest(torch.eye(2), 4) == Neighbors(tensors, CLASSES).nearest(torch.eye(2), 4)


def test_a_file_that_the_card_does_not_vouch_for_is_not_looked_at(card: Card, tmp_path: Path) -> None:
    (tmp_path / NEIGHBORS).write_bytes(b"anything")
    assert Neighbors.load(tmp_path, card) is None


def test_a_file_that_is_missing_or_damaged_is_named(
    tensors: dict[str, torch.Tensor], vouched: Card, tmp_path: Path
) -> None:
    path = tmp_path / NEIGHBORS
    with pytest.raises(NeighborsError, match=f"{path}: cannot be used: .*restore the release, or train it again"):
        Neighbors.load(tmp_path, vouched)
    save_file(tensors, path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(NeighborsError, match=f"{path}: cannot be used: "):
        Neighbors.load(tmp_path, vouched)
    path.write_bytes(b"not safetensors")
    with pytest.raises(NeighborsError, match=f"{path}: cannot be used: "):
        Neighbors.load(tmp_path, vouched)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (LABELS, torch.tensor([0, 1, 2, 0]), "the labels go from 0 to 2, and the model has 2 classes"),
        (LABELS, torch.tensor([0, 1, -1, 0]), "the labels go from -1 to 1"),
        (LABELS, torch.tensor([0, 1, 1]), r"of shapes \(4, 2\), \(3,\), \(4,\)"),
        (EMBEDDINGS, torch.zeros(4), r"of shapes \(4,\)"),
        (ENDS, torch.tensor([1, 3, 6, 7]), "ends do not fit their 6 bytes"),
        (ENDS, torch.tensor([3, 1, 6, 6]), "ends do not fit"),
        (ENDS, torch.tensor([-1, 1, 6, 6]), "ends do not fit"),
        (THUMBNAILS, None, "tensor 'thumbnails' is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tensors: dict[str, torch.Tensor], name: str, value: torch.Tensor | None, message: str
) -> None:
    changed = {key: tensor for key, tensor in tensors.items() if key != name} | ({} if value is None else {name: value})
    with pytest.raises(NeighborsError, match=message):
        Neighbors(changed, CLASSES)


def test_embeddings_of_another_network_are_refused(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(NeighborsError, match=r"embeddings of 3 numbers .* images' 2: .* is of another network"):
        Neighbors(tensors, CLASSES).nearest(torch.zeros(1, 3), 1)
