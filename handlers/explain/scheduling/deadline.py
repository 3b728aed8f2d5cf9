"""Which method an explanation with a deadline gets: the best one that the time left is enough for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.errors import BadOption, DeadlineExceeded
from handlers.explain.methods.method import Method

# Best first, where the card has no faithfulness of its own (`make explain-report` writes it).
ORDER = ("deeplift", "kernelshap", "occlusion", "ig", "gradshap", "layercam", "gradcam", "ixg")


def ladder(works: Mapping[str, Method], default: str, faithfulness: Mapping[str, float]) -> list[Method]:
    """The methods of a model, best first: its default, then those measured to be the most faithful, then the others."""
    unmeasured = [name for name in ORDER if name not in faithfulness]
    order = [default, *sorted(faithfulness, key=lambda name: -faithfulness[name]), *unmeasured]
    return [works[name] for name in dict.fromkeys(order) if name in works]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one request.

    Attributes:
        side: at most so long is the long side of its picture, in pixels.
        left_ms: that were left when it was chosen.
        estimate_ms: that the method was expected to take, picture and all.
    """

    method: Method
    side: int
    deadline_ms: int
    left_ms: float
    estimate_ms: float

    def members(self) -> dict[str, Any]:
        """The answer's `deadline`."""
        return {
            "deadline_ms": self.deadline_ms,
            "left_ms": round(self.left_ms, 1),
            "estimate_ms": round(self.estimate_ms, 1),
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method and a side of its picture that could be taken, and the milliseconds that this is expected to take.

    Attributes:
        idle_ms, now_ms: on an idle machine, and on this one now.
    """

    method: Method
    side: int
    idle_ms: float
    now_ms: float


def choose(candidates: Sequence[Candidate], deadline_ms: int, left_ms: float) -> Choice:
    """The first of the candidates, which are the best first, that fits.

    Args:
        left_ms: of the deadline, for this request.

    Raises:
        BadOption: none of them would fit the whole deadline, even on an idle machine.
        DeadlineExceeded: one would have, but too much of it has passed, or the machine is too busy.
    """
    for one in candidates:
        if one.now_ms <= left_ms:
            return Choice(one.method, one.side, deadline_ms, left_ms, one.now_ms)
    quickest = min(candidates, key=lambda one: one.now_ms)
    name = quickest.method.name
    if quickest.idle_ms > deadline_ms:
        several = len({one.method.name for one in candidates}) > 1
        which = f"the quickest method, {name}," if several else f"method {name}"
        raise BadOption(
            f"deadline_ms is {deadline_ms}: {which} takes some {quickest.idle_ms:.0f} ms for this request here"
        )
    raise DeadlineExceeded(
        f"of the {deadline_ms} ms until its deadline {max(left_ms, 0):.0f} were left when its turn came, and {name} "
        f"takes some {quickest.now_ms:.0f}: try again later, or leave more time"
    )
