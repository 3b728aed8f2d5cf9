"""Choice of a method for a deadline: the best one that fits the remaining time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.errors import BadOption, DeadlineExceeded
from handlers.explain.methods.method import Method


def ranked_methods(supported: Mapping[str, Method], default: str, faithfulness: Mapping[str, float]) -> list[Method]:
    """Return the methods of a model, best first: the default, then by measured faithfulness, then by rank.

    Args:
        supported: the methods that fit the network, by name.
        default: name of the default method.
        faithfulness: gap of each measured method, by name (`make explain-report` writes it into the card).
    """
    measured = sorted(faithfulness, key=lambda name: -faithfulness[name])
    unmeasured = sorted(supported, key=lambda name: supported[name].rank)
    return [supported[name] for name in dict.fromkeys([default, *measured, *unmeasured]) if name in supported]


@dataclass(frozen=True, slots=True)
class DeadlineChoice:
    """The method chosen for one request.

    Attributes:
        side: largest long side of the overlay, in pixels.
        left_ms: remaining time when the method was chosen.
        estimate_ms: expected time of the method and the overlay.
    """

    method: Method
    side: int
    deadline_ms: int
    left_ms: float
    estimate_ms: float

    def members(self) -> dict[str, Any]:
        """Return the member `deadline` in JSON."""
        return {
            "deadline_ms": self.deadline_ms,
            "left_ms": round(self.left_ms, 1),
            "estimate_ms": round(self.estimate_ms, 1),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method and a size of its overlay, with the expected time.

    Attributes:
        side: largest long side of the overlay, in pixels.
        idle_ms: expected time on an idle machine.
        now_ms: expected time at the current load.
    """

    method: Method
    side: int
    idle_ms: float
    now_ms: float


def choose(candidates: Sequence[Candidate], deadline_ms: int, left_ms: float) -> DeadlineChoice:
    """Return the first candidate that fits; candidates are sorted, best first.

    Args:
        left_ms: remaining time for this request.

    Raises:
        BadOption: no candidate fits the whole deadline, even on an idle machine.
        DeadlineExceeded: a candidate would fit the deadline, but too much time has passed, or the load is too high.
    """
    for candidate in candidates:
        if candidate.now_ms <= left_ms:
            return DeadlineChoice(candidate.method, candidate.side, deadline_ms, left_ms, candidate.now_ms)
    fastest = min(candidates, key=lambda candidate: candidate.now_ms)
    name = fastest.method.name
    if fastest.idle_ms > deadline_ms:
        several = len({candidate.method.name for candidate in candidates}) > 1
        subject = f"the fastest method, {name}," if several else f"method {name}"
        raise BadOption(
            f"deadline_ms is {deadline_ms}: {subject} takes about {fastest.idle_ms:.0f} ms for this request; "
            "allow more time"
        )
    raise DeadlineExceeded(
        f"{max(left_ms, 0):.0f} ms of deadline_ms={deadline_ms} were left, and method {name} takes about "
        f"{fastest.now_ms:.0f} ms: retry later, or allow more time"
    )
