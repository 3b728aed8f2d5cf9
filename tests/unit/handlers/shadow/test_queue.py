from __future__ import annotations

from handlers.shadow.queue import SampleQueue
from handlers.shadow.sample import Sample


def sample(size: int) -> Sample:
    return Sample({}, bytes(size - 1), 200, {}, b"a")


def test_a_full_queue_drops_and_counts() -> None:
    queue = SampleQueue(max_samples=2)
    first, second = sample(10), sample(10)
    for each in (first, second, sample(10)):
        queue.offer(each)
    assert (queue.take(), queue.take(), queue.take()) == (first, second, None)
    assert (queue.dropped(), queue.dropped()) == (1, 0)


def test_bytes_are_bounded_and_come_free_again() -> None:
    queue = SampleQueue(max_bytes=100)
    queue.offer(sample(101))
    queue.offer(sample(60))
    queue.offer(sample(60))
    assert queue.dropped() == 2
    assert queue.take() is not None
    queue.offer(sample(100))
    assert queue.dropped() == 0
    queue.clear()
    assert queue.take() is None
