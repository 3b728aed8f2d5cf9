"""Training in several processes: which rows of a batch are whose, and sums over all of them.

`torchrun --nproc-per-node 2 -m scripts.train ...` starts the processes and tells each its place in the environment
(torch.distributed.run). Every process draws the same random numbers for the whole batch and takes its own rows, so that
what is computed does not depend on how many there are, but for batch norm, dropout and mixup: they see its rows alone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class World:
    """`size` processes, of which this is number `rank`; the first one writes and speaks."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """This process's share of a batch of `count` rows; of too few for two each, each takes all.

        One row alone would not do: batch norm takes mean and deviation from the rows at hand.
        """
        if self.size > 1 and count < 2 * self.size:
            return slice(0, count)
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def weight(self, count: int) -> float:
        """What the mean over this process's rows counts for, that the mean over processes is that of the batch."""
        rows = self.rows(count)
        return 1.0 if rows == slice(0, count) else (rows.stop - rows.start) * self.size / count

    def share(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network whose gradients are averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The sums over all processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        held = sys.getrefcount(tensor)
        distributed.all_reduce(tensor)
        # Gloo's thread lets go of a tensor a while after telling the sum, and needs Python's lock to do so. If Python
        # ends first, the process is aborted; DDP, freed first, waits for that thread while it has the lock: for ever.
        while device.type != "cuda" and sys.getrefcount(tensor) > held:
            time.sleep(0.0005)
        found: list[float] = tensor.tolist()
        return found


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """The processes that torchrun started, joined; or this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        joined = World(distributed.get_rank(), distributed.get_world_size())
        yield joined
        # Who leaves while others still write may be aborted, with what it did all done. No barrier(): see total().
        joined.total([0], device)
    finally:
        distributed.destroy_process_group()


def own_device(asked: str | None = None) -> torch.device:
    """The device that is asked for, or this process's GPU, or the CPU.

    Raises:
        ValueError: there is no such device.
    """
    if asked is None:
        asked = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"device {asked!r} cannot be used ({first}): name cpu, or cuda:0 for a GPU") from None
    return device
