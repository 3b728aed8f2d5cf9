"""The best method that there is time for, or a sentence that says why there is none."""

from __future__ import annotations

import pytest

from handlers.errors import BadOption, DeadlineExceeded
from handlers.explain.registry import METHODS
from handlers.explain.scheduling.deadline import Candidate, choose, ranked_methods


def candidates(**milliseconds: float) -> list[Candidate]:
    """Methods, best first, on a machine that is twice as slow as it was when idle."""
    return [Candidate(METHODS[name], 512, now / 2, now) for name, now in milliseconds.items()]


@pytest.mark.parametrize(("left", "name"), [(1000, "ig"), (100, "ig"), (99, "ixg"), (10, "ixg"), (9, "gradcam")])
def test_the_first_that_fits_is_taken(left: float, name: str) -> None:
    choice = choose(candidates(ig=100, ixg=10, gradcam=5), deadline_ms=1000, left_ms=left)
    assert choice.method.name == name
    assert choice.members() == {"deadline_ms": 1000, "left_ms": left, "estimate_ms": choice.estimate_ms}
    assert choice.estimate_ms <= left


def test_a_deadline_that_nothing_can_meet_is_the_callers_mistake() -> None:
    with pytest.raises(BadOption, match="deadline_ms is 2: the fastest method, gradcam, takes about 3 ms"):
        choose(candidates(ig=100, gradcam=5.2), deadline_ms=2, left_ms=2)
    with pytest.raises(BadOption, match="deadline_ms is 2: method ig takes about 50 ms"):
        choose(candidates(ig=100), deadline_ms=2, left_ms=2)


def test_deadline_that_passed_in_the_queue_is_not_kept() -> None:
    with pytest.raises(DeadlineExceeded, match="4 ms of deadline_ms=50 were left, and method gradcam takes about 5 ms"):
        choose(candidates(ig=100, gradcam=5), deadline_ms=50, left_ms=4)
    with pytest.raises(DeadlineExceeded, match="0 ms of deadline_ms=50 were left"):
        choose(candidates(ig=100, gradcam=5), deadline_ms=50, left_ms=-7)


def test_ranked_methods_are_the_default_then_as_measured_then_by_rank() -> None:
    supported = {
        name: METHODS[name] for name in ("ig", "ixg", "gradcam", "layercam", "gradshap", "occlusion", "kernelshap")
    }
    ranked = ranked_methods(supported, "ixg", {"gradcam": 0.1, "occlusion": 0.4, "deeplift": 0.9})
    assert [method.name for method in ranked] == [
        "ixg",
        "occlusion",
        "gradcam",
        "kernelshap",
        "ig",
        "gradshap",
        "layercam",
    ]
