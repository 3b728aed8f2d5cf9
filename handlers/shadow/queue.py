"""A bounded queue between the thread that answers requests and the one that sends samples."""

from __future__ import annotations

from collections import deque

from handlers.shadow.sample import Sample

MAX_SAMPLES = 64
MAX_BYTES = 16 << 20


class SampleQueue:
    """A queue that drops a sample if it is full, and counts it.

    One thread calls `offer`, and another thread calls the other methods. Neither waits for a lock: each counter has one
    writer, and a deque's operations are atomic.
    """

    def __init__(self, max_samples: int = MAX_SAMPLES, max_bytes: int = MAX_BYTES) -> None:
        self._max_samples, self._max_bytes = max_samples, max_bytes
        self._samples: deque[Sample] = deque()
        self._offered_bytes = self._taken_bytes = 0
        self._dropped = self._reported = 0

    def offer(self, sample: Sample) -> None:
        """Append a sample, or drop it if the queue is full."""
        size = sample.size
        pending = self._offered_bytes - self._taken_bytes
        if len(self._samples) >= self._max_samples or pending + size > self._max_bytes:
            self._dropped += 1
            return
        self._offered_bytes += size
        self._samples.append(sample)

    def take(self) -> Sample | None:
        """Remove and return the oldest sample; None if the queue is empty."""
        try:
            sample = self._samples.popleft()
        except IndexError:
            return None
        self._taken_bytes += sample.size
        return sample

    def clear(self) -> None:
        """Remove all samples."""
        while self.take() is not None:
            pass

    def dropped(self) -> int:
        """Return the number of samples that were dropped since the last call."""
        total = self._dropped
        dropped, self._reported = total - self._reported, total
        return dropped
