"""Training in several processes: the rows of a batch for each process, and sums over all processes.

`torchrun --nproc-per-node 2 -m scripts.train ...` starts the processes and sets their ranks in the environment
(torch.distributed.run). Every process draws the same random numbers for the whole batch, and takes its own rows. So the
result does not depend on the number of processes. Exceptions are batch norm, dropout and mixup, which use only the rows
of their process.
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
    """The processes of a training: `size` processes, this one with number `rank`. The first one writes and logs."""

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
        references = sys.getrefcount(tensor)
        distributed.all_reduce(tensor)
        # Gloo's thread releases the tensor some time after all_reduce returns, and needs Python's lock (GIL) for that.
        # If Python ends before that, the process is aborted. If DDP is freed before that, it waits for the thread while
        # it holds the lock: a deadlock.
        while device.type != "cuda" and sys.getrefcount(tensor) > references:
            time.sleep(0.0005)
        sums: list[float] = tensor.tolist()
        return sums


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started. The context is a World of one process without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        joined = World(distributed.get_rank(), distributed.get_world_size())
        yield joined
        # Wait for the others: a process that exits while they still write may be aborted. total() is used instead of
        # barrier() because it also waits for Gloo's thread.
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
