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
    """`size` processes, of which this is number `rank`; the first one writes and logs."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """True for the process that writes and logs."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """Return this process's share of a batch of `count` rows; all rows if a share would have fewer than two.

        Batch norm needs at least two rows for mean and deviation.
        """
        if self.size > 1 and count < 2 * self.size:
            return slice(0, count)
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def weight(self, count: int) -> float:
        """Return the weight of this process's mean, so that the mean over processes is the mean over the batch."""
        rows = self.rows(count)
        return 1.0 if rows == slice(0, count) else (rows.stop - rows.start) * self.size / count

    def share(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap the network, so that gradients are averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Return the sums over all processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        held = sys.getrefcount(tensor)
        distributed.all_reduce(tensor)
        # Gloo's thread lets go of a tensor a while after telling the sum, and needs Python's lock to do so. If Python
        # ends first, the process is aborted; DDP, freed first, waits for that thread while it has the lock: for ever.
        while device.type != "cuda" and sys.getrefcount(tensor) > held:
            time.sleep(0.0005)
        sums: list[float] = tensor.tolist()
        return sums


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started; or provide this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        joined = World(distributed.get_rank(), distributed.get_world_size())
        yield joined
        # A process that exits while others still write may be aborted. total() instead of barrier(): see total().
        joined.total([0], device)
    finally:
        distributed.destroy_process_group()


def own_device(name: str | None = None) -> torch.device:
    """Return the device `name`, or by default this process's GPU, or the CPU.

    Raises:
        ValueError: the device cannot be used.
    """
    if name is None:
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used ({first}): name cpu, or cuda:0 for a GPU") from None
    return device
