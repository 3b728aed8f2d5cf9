from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import pytest
import torch

from handlers.errors import BadTensor, InferenceFailed, OutOfMemory, RequestError
from handlers.isolation import as_request_error, bisect_failures

Work = Callable[[Sequence[int]], list[int]]


def doubling(*guilty: int, error: Exception | None = None) -> tuple[Work, list[tuple[int, ...]]]:
    """Work that doubles its items and fails on the guilty ones, and the calls that were made of it."""
    calls: list[tuple[int, ...]] = []

    def work(items: Sequence[int]) -> list[int]:
        calls.append(tuple(items))
        if set(guilty) & set(items):
            raise error or RuntimeError("a secret detail")
        return [2 * item for item in items]

    return work, calls


def test_empty_batch_makes_no_call() -> None:
    work, calls = doubling()
    assert (bisect_failures([], work), calls) == ([], [])


def test_working_batch_is_run_in_one_call() -> None:
    work, calls = doubling()
    assert bisect_failures([1, 2, 3], work) == [2, 4, 6]
    assert calls == [(1, 2, 3)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_single_failing_item_fails_alone_in_few_calls(count: int) -> None:
    for guilty in range(count):
        work, calls = doubling(guilty)
        outcomes = bisect_failures(list(range(count)), work)
        assert [2 * item if item != guilty else None for item in range(count)] == [
            None if isinstance(outcome, RequestError) else outcome for outcome in outcomes
        ]
        assert len(calls) <= 2 * math.ceil(math.log2(count)) + 1
        assert calls.count((guilty,)) == 1


def test_all_guilty_items_fail_each_for_itself() -> None:
    work, _ = doubling(0, 3, 4)
    outcomes = bisect_failures(range(6), work)
    assert [isinstance(outcome, InferenceFailed) for outcome in outcomes] == [True, False, False, True, True, False]


def test_too_many_together_are_no_failure() -> None:
    calls = []

    def work(items: Sequence[int]) -> Sequence[int]:
        calls.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return items

    assert bisect_failures(range(8), work) == list(range(8))
    assert calls == [8, 4, 2, 2, 4, 2, 2]


def test_our_own_error_is_kept_as_it_is() -> None:
    error = BadTensor("no image")
    work, _ = doubling(1, error=error)
    assert bisect_failures([0, 1], work) == [0, error]


@pytest.mark.parametrize("words", ["a secret detail", "CUDA error: device-side assert", "CUDA out of memory", ""])
def test_unexpected_error_becomes_inference_failed_without_details(
    words: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = as_request_error(RuntimeError(words))
    assert isinstance(found, InferenceFailed)
    assert found.body() == {
        "code": 500,
        "type": "InferenceFailed",
        "message": "the model failed on this request: RuntimeError",
    }
    assert (caplog.records[0].levelno, words in caplog.text) == (logging.ERROR, True)
    assert "Traceback" in caplog.text or caplog.records[0].exc_info


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
)
def test_want_of_memory_is_said_and_may_be_tried_again(error: Exception) -> None:
    found = as_request_error(error)
    assert isinstance(found, OutOfMemory)
    assert found.body() == {
        "code": 503,
        "type": "OutOfMemory",
        "message": "there was not enough memory for this request: try again, or with smaller images",
    }


def test_torchs_allocator_on_this_machine_is_understood() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**17)
    assert isinstance(as_request_error(raised.value), OutOfMemory)
