"""Sources of batches for the training loop: pixels in memory, or images decoded by threads on demand.

Both return the same uint8 images of the pre-crop size, resized by the code that serves.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import torch
from tqdm import tqdm

from handlers.errors import RequestError
from handlers.modalities.image import images
from models.card import Input
from training.data.dataset import DataError, Split

# Largest split in memory; larger ones are streamed.
MEMORY_BYTES = 2_000_000_000
# Batches decoded in advance.
AHEAD = 2
CHUNK = 256
# Images for mean and deviation; more would not change the fourth digit.
SAMPLE = 10_000


class BatchSource(Protocol):
    """A split for the training loop; `labels` are int64 (N,)."""

    labels: torch.Tensor

    def batches(self, order: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the images of each tensor of row numbers: uint8 (rows, 3, pre_crop_size, pre_crop_size)."""

    def name(self, row: int) -> str:
        """Return a name of the image for messages."""


class InMemory:
    """Images (N, 3, pre_crop_size, pre_crop_size) on the training device."""

    def __init__(self, uncropped: torch.Tensor, split: Split) -> None:
        self.uncropped = uncropped
        self.labels = torch.tensor(split.labels, dtype=torch.int64, device=uncropped.device)
        self.name = split.name

    def batches(self, order: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """See BatchSource."""
        for rows in order:
            yield self.uncropped[rows.to(self.uncropped.device)]


class Streamed:
    """Images decoded on every access, some batches ahead of the loop.

    Decoding uses threads, because Pillow and torch release the GIL for most of the work.
    """

    def __init__(self, split: Split, spec: Input, device: torch.device) -> None:
        self.split, self.spec, self.device = split, spec, device
        self.labels = torch.tensor(split.labels, dtype=torch.int64, device=device)
        self.name = split.name

    def batches(self, order: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """See BatchSource.

        Raises:
            DataError: an image cannot be decoded any more.
        """
        rows = (row for batch in order for row in batch.tolist())
        threads = ThreadPoolExecutor(_cores())
        decoded = self._decoded(threads, rows, max(AHEAD * max(map(len, order), default=0), 2 * _cores()))
        try:
            for batch in order:
                uncropped = torch.stack(list(islice(decoded, len(batch))))
                if self.device.type == "cuda":
                    uncropped = uncropped.pin_memory()
                yield uncropped.to(self.device, non_blocking=True)
        finally:
            threads.shutdown(cancel_futures=True)

    def _decoded(self, threads: ThreadPoolExecutor, rows: Iterator[int], ahead: int) -> Iterator[torch.Tensor]:
        waiting: deque[Future[torch.Tensor]] = deque()
        for row in rows:
            waiting.append(threads.submit(self._uncropped, row))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _uncropped(self, row: int) -> torch.Tensor:
        try:
            return images.before_crop(images.picture(self.split.images[row], self.spec), self.spec)
        except RequestError as error:
            raise DataError(f"{self.name(row)}: {error}") from None


def load(split: Split, spec: Input, device: torch.device, *, max_bytes: int = MEMORY_BYTES) -> BatchSource:
    """Load a split into memory on `device` if it needs at most `max_bytes`; otherwise stream it.

    Raises:
        DataError: an image cannot be decoded any more.
    """
    streamed = Streamed(split, spec, device)
    if 3 * spec.pre_crop_size**2 * len(split) > max_bytes:
        return streamed
    uncropped = torch.empty((len(split), 3, spec.pre_crop_size, spec.pre_crop_size), dtype=torch.uint8, device=device)
    # disable=None: no bar if stderr is not a terminal.
    with tqdm(desc="decode", total=len(split), unit="image", disable=None, leave=False) as bar:
        chunks = torch.split(torch.arange(len(split)), CHUNK)
        for rows, decoded in zip(chunks, streamed.batches(chunks), strict=True):
            uncropped[rows.to(device)] = decoded
            bar.update(len(rows))
    return InMemory(uncropped, split)


def fitted(spec: Input, source: BatchSource, sample: int = SAMPLE) -> Input:
    """Return `spec` with the mean and standard deviation of the training pixels, by channel, to four digits."""
    count = len(source.labels)
    rows = torch.linspace(0, count - 1, min(count, sample)).round().long()
    total, squares, values = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
    for uncropped in source.batches(torch.split(rows, CHUNK)):
        share = uncropped.double() / 255
        total += share.sum(dim=(0, 2, 3)).cpu()
        squares += share.square().sum(dim=(0, 2, 3)).cpu()
        values += share[:, 0].numel()
    mean = total / values
    std = (squares / values - mean.square()).clamp(min=1e-6).sqrt()
    update = {"mean": tuple(round(v, 4) for v in mean.tolist()), "std": tuple(round(v, 4) for v in std.tolist())}
    return spec.model_copy(update=update)


def in_batches(order: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """Divide rows into batches of `size`; the last one is smaller, but never a single row if avoidable.

    Batch norm needs at least two rows for mean and deviation.
    """
    *full, last = torch.split(order, size)
    return (*full[:-1], torch.cat([full[-1], last])) if full and len(last) == 1 < size else (*full, last)


def _cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
