"""Several processes share a batch, and come to what one alone would have come to."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from torch import distributed

from tests.unit.training.halves import At, ctrl_c, recipe, source, training, weights
from training.loop.distributed import World, own_device, world
from training.loop.interruption import Interrupted

REPOSITORY = Path(__file__).resolve().parents[4]
# 64 images in batches of 10 are 6 of 10 and one of 4; 21 in batches of 10 one of 10 and one of 11; 31 in batches of 3,
# 9 of 3, which are too few for two processes, and the last one of 4.
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "uneven": (64, {"batch_size": 10}),
    "odd": (21, {"batch_size": 10}),
    "few": (31, {"batch_size": 3}),
    "one by one": (5, {"batch_size": 1}),
    "everything": (64, {"batch_size": 15, "ema": 0.8, "augmentation": {"crop": 1, "cutout": 2, "color": 0.1},
                        "optimizer": {"clip": 1.0, "l1": 1e-5, "weight_decay": 1e-3},
                        "loss": {"class_weights": "balanced"}, "schedule": {"name": "cosine"}}),
}  # fmt: skip


def together(folder: Path, size: int = 2) -> list[subprocess.CompletedProcess[str]]:
    """Run this module in several processes, as torchrun would."""
    started = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for rank in range(size):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(REPOSITORY),
        }
        command = [sys.executable, "-m", __name__, str(folder)]
        started.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    return [
        subprocess.CompletedProcess(process.args, process.returncode, said)
        for process in started
        for said, _ in [process.communicate(timeout=120)]
    ]


def train_in_this_process(folder: Path) -> None:
    told: dict[str, Any] = {}
    with world(torch.device("cpu")) as processes:
        for name, (count, changes) in CASES.items():
            trained = training(recipe(**changes), source(count), world=processes)
            trained.run()
            told[name] = [[epoch.train_loss, epoch.train_accuracy, epoch.calibration_loss] for epoch in trained.history]
            (folder / f"{name}.{processes.rank}").write_bytes(save(weights(trained)))
        # Only the second one is asked to stop, as it may be where a signal comes to both in the middle of a batch.
        observers = [At((2, 3), ctrl_c)] * (not processes.first)
        for name, changes, more in (
            ("stopped", {}, {"folder": folder, "observers": observers}),
            ("broken", {"optimizer": {"learning_rate": 1e20}}, {}),
        ):
            try:
                training(recipe(**changes), world=processes, **more).run()
            except (FloatingPointError, Interrupted) as error:
                told[name] = str(error)
        told["held"] = tensors_held_after_their_sum(processes)
        (folder / f"told.{processes.rank}").write_text(json.dumps(told))


def tensors_held_after_their_sum(processes: World, sums: int = 1000) -> int:
    """Count summed tensors that outlive `total`, because a thread of Gloo still holds them."""
    seen: list[weakref.ref[torch.Tensor]] = []
    alive = 0
    with pytest.MonkeyPatch.context() as patch:
        reduce = distributed.all_reduce
        patch.setattr(distributed, "all_reduce", lambda tensor: (seen.append(weakref.ref(tensor)), reduce(tensor)))
        for _ in range(sums):
            assert processes.total([1.0, 2.0], torch.device("cpu")) == [2.0, 4.0]
            alive += seen.pop()() is not None
    return alive


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("count", range(1, 24))
def test_every_row_of_a_batch_counts_the_same(size: int, count: int) -> None:
    """The mean over processes of weight * (mean over rows) is the mean over the batch."""
    worlds = [World(rank, size) for rank in range(size)]
    counted = torch.zeros(count)
    for place in worlds:
        own = counted[place.rows(count)]
        assert len(own) >= min(2, count) or size == 1, "batch norm wants two"
        own += place.weight(count) / len(own) / size
    assert torch.allclose(counted, torch.full((count,), 1 / count))


def test_rows_are_disjoint_when_there_are_enough() -> None:
    owned = [row for rank in range(3) for row in list(range(10))[World(rank, 3).rows(10)]]
    assert owned == list(range(10))


def test_single_process_has_all_rows_without_communication() -> None:
    alone = World()
    assert alone.first
    assert alone.rows(7) == slice(0, 7)
    assert alone.weight(7) == 1
    assert alone.total([1.5, 2], torch.device("cpu")) == [1.5, 2]
    network = torch.nn.Linear(1, 1)
    assert alone.share(network, torch.device("cpu")) is network


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with world(torch.device("cpu")) as found:
        assert found == World()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the weights and the messages of two processes."""
    folder = tmp_path_factory.mktemp("two")
    done = together(folder)
    assert [process.returncode for process in done] == [0, 0], done[0].stdout + done[1].stdout
    return folder


def told(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"told.{rank}").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_to_the_weights_of_one(name: str, two: Path) -> None:
    count, changes = CASES[name]
    alone = training(recipe(**changes), source(count))
    alone.run()
    first, second = (load_file(two / f"{name}.{rank}") for rank in range(2))
    for key, value in weights(alone).items():
        assert torch.equal(first[key], second[key])
        assert torch.allclose(first[key], value, atol=1e-5, rtol=0)
    for found in told(two):
        for figures, epoch in zip(found[name], alone.history, strict=True):
            expected = [epoch.train_loss, epoch.train_accuracy, epoch.calibration_loss]
            assert figures == pytest.approx(expected, abs=1e-5)


def test_a_loss_that_is_no_number_ends_both_and_neither_waits_for_the_other(two: Path) -> None:
    assert [found["broken"].partition(" at ")[0] for found in told(two)] == ["the loss is nan"] * 2


def test_stop_request_stops_all_processes_at_one_batch_and_can_be_resumed(two: Path) -> None:
    assert [found["stopped"] for found in told(two)] == ["stopped in epoch 2, after batch 3 of 7"] * 2
    undisturbed, again = training(), training(folder=two)
    again.resume()
    for trained in (undisturbed, again):
        trained.run()
    for key, value in weights(undisturbed).items():
        assert torch.allclose(weights(again)[key], value, atol=1e-5, rtol=0)
    for one, other in zip(again.history, undisturbed.history, strict=True):
        assert (one.train_loss, one.train_accuracy) == pytest.approx((other.train_loss, other.train_accuracy), abs=1e-5)


def test_process_group_is_released_before_exit(two: Path) -> None:
    """Some of a hundred are not at once; a process that ends meanwhile is aborted, one that frees its network hangs."""
    assert [found["held"] for found in told(two)] == [0, 0]


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    assert own_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"device 'gpu' cannot be used \(.*\): name cpu, or cuda:0 for a GPU"):
        own_device("gpu")
    with pytest.raises(ValueError, match="device 'cuda:77' cannot be used"):
        own_device("cuda:77")


if __name__ == "__main__":
    train_in_this_process(Path(sys.argv[1]))
