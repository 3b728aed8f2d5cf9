"""A checkpoint is replaced whole or not at all, and holds what was put into it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training.loop import checkpoint
from training.loop.checkpoint import FILE_NAME, CheckpointError, check, pack, read, unpack, write

DOCUMENT = {"identity": "abc", "numbers": [1, 2.5, None], "words": {"größe": "groß"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a checkpoint of a single 1."""
    write(tmp_path / "work", {"weight": torch.ones(1)}, DOCUMENT)
    return tmp_path / "work"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def test_written_file_reads_back(folder: Path) -> None:
    tensors, document = read(folder)
    assert document == DOCUMENT
    assert {name: value.tolist() for name, value in tensors.items()} == {"weight": [1.0]}


def test_read_tensors_do_not_keep_the_file_open(tmp_path: Path) -> None:
    """Or its room on the disk would not come free when it is replaced."""
    write(tmp_path, {"weight": torch.zeros(100_000)}, {})
    tensors, _ = read(tmp_path)
    assert len(tensors) == 1
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(3),
        torch.zeros(0, 4),
        torch.tensor([float("nan"), float("inf"), 1e-40]),
        torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        torch.ones(3, dtype=torch.bfloat16),
        torch.arange(3, dtype=torch.float64),
        torch.tensor([True, False]),
    ],
    ids=["number", "empty", "odd", "channels last", "half", "double", "bool"],
)
def test_a_tensor_keeps_its_bits(tmp_path: Path, value: torch.Tensor) -> None:
    write(tmp_path, {"value": value}, {})
    found = read(tmp_path)[0]["value"]
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert torch.equal(found.nan_to_num(7), value.nan_to_num(7))


def test_a_float_keeps_its_bits(tmp_path: Path) -> None:
    numbers = [0.1 + 0.2, 1 / 3, 1e-300, float("inf"), 5e-324]
    write(tmp_path, {}, {"numbers": numbers})
    assert read(tmp_path)[1]["numbers"] == numbers


def test_the_next_one_takes_its_place_and_leaves_nothing_else(folder: Path) -> None:
    write(folder, {"weight": torch.zeros(1)}, {})
    assert read(folder)[0]["weight"].item() == 0
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_a_draft_that_a_killed_process_left_is_no_checkpoint(folder: Path) -> None:
    (folder / f"{FILE_NAME}.new").write_bytes(b"half of")
    assert read(folder)[1] == DOCUMENT
    write(folder, {"weight": torch.zeros(1)}, {})
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_checkpoint_is_on_disk_before_it_is_renamed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(file: int) -> None:
        seen.append(f"sync {os.fstat(file).st_size > 0}")
        sync(file)

    def renamed(path: Path, target: Path) -> Path:
        seen.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write(folder, {"weight": torch.zeros(1)}, {})
    assert seen == ["sync True", "rename"]


def test_on_a_full_disk_the_one_before_survives(small_disk: Path) -> None:
    write(small_disk / "work", {"weight": torch.ones(1)}, DOCUMENT)
    with pytest.raises(
        CheckpointError,
        match=r"cannot be written \(No space left on device\): free 1 MB; the previous checkpoint is valid: resume "
        r"from it with --resume$",
    ):
        write(small_disk / "work", {"weight": torch.ones(250_000)}, {})
    assert read(small_disk / "work")[1] == DOCUMENT
    assert [path.name for path in (small_disk / "work").iterdir()] == [FILE_NAME]


def test_a_disk_that_is_full_only_when_it_is_synced_is_full_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write(folder, {"weight": torch.zeros(1)}, {})
    assert read(folder)[1] == DOCUMENT
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_first_version_promises_no_rollback(small_disk: Path) -> None:
    with pytest.raises(CheckpointError, match=r"free 1 MB$"):
        write(small_disk, {"weight": torch.ones(250_000)}, {})
    assert list(small_disk.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        CheckpointError, match=r"cannot be written \((Not a directory|File exists)\): make it writable$"
    ):
        write(tmp_path / "file" / "work", {}, {})
    with pytest.raises(CheckpointError, match="cannot be written"):
        write(tmp_path / "file", {}, {})
    assert (tmp_path / "file").read_text() == "no folder"


def test_resume_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume; train without --resume"):
        read(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other"])
def test_a_damaged_one_is_said_to_be(folder: Path, damage: str) -> None:
    path = folder / FILE_NAME
    if damage == "other":  # a whole file, but none of ours
        write(folder, {}, {})
        path.write_bytes(path.read_bytes().replace(checkpoint._DOCUMENT.encode(), b"somebodys1"))
    else:
        path.write_bytes({"cut": path.read_bytes()[:-2], "empty": b"", "text": b"x" * 100}[damage])
    with pytest.raises(CheckpointError, match=r"damaged \(.*\); remove it, or use --restart$"):
        read(folder)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_the_state_of_an_optimizer_survives(tmp_path: Path, kind: Any) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    more = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(network.parameters(), lr=0.1, **more)
    network(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    state = optimizer.state_dict()["state"]
    tensors, rest = pack("optimizer", state)
    write(tmp_path, tensors, {"rest": rest})
    tensors, document = read(tmp_path)
    found = unpack("optimizer", tensors, document["rest"])
    assert found.keys() == state.keys() == {0, 1, 2, 3}
    for place, values in state.items():
        assert found[place].keys() == values.keys()
        assert all(torch.equal(found[place][key], value) for key, value in values.items())


def test_states_lie_side_by_side_and_keep_what_is_no_tensor() -> None:
    one, other = {"0": {"a": torch.ones(1), "b": None}}, {"x.weight": torch.zeros(2), "deep": {"er": {"k": 3}}}
    tensors, rest = pack("one", {0: one["0"]})
    more, others = pack("one-more", other)
    assert unpack("one", tensors | more, rest | others) == {0: {"a": torch.ones(1), "b": None}}
    found = unpack("one-more", tensors | more, rest | others)
    assert found["deep"] == {"er": {"k": 3}}
    assert torch.equal(found["x.weight"], torch.zeros(2))
    assert unpack("none", tensors, rest) == {}


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path: Path) -> None:
    recipe = {"epochs": 3, "loss": {"name": "focal", "gamma": 2.0}, "ema": None}
    document = {"recipe": recipe, "identity": "one"}
    check(tmp_path, document, recipe, "one")
    other = {**recipe, "epochs": 4, "loss": {"name": "focal", "gamma": 1.0}}
    with pytest.raises(
        CheckpointError,
        match=r"another recipe \(epochs was 3 and is 4; loss\.gamma was 2\.0 and is 1\.0\): use that one, or start "
        r"again with --restart",
    ):
        check(tmp_path, document, other, "one")
    with pytest.raises(CheckpointError, match="other data"):
        check(tmp_path, document, recipe, "two")


def test_a_folder_that_is_gone_is_made_anew(folder: Path) -> None:
    shutil.rmtree(folder)
    write(folder, {"weight": torch.ones(1)}, DOCUMENT)
    assert read(folder)[1] == DOCUMENT
