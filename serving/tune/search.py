"""Which settings are best: coordinate descent from the default, each step a comparison that noise cannot decide.

A shared machine is now faster, now slower. So two settings are asked in turn, one, other, other, one, and only a gain
beyond the noise counts. Noise is the spread between two rounds of one comparison at the same settings, as the standard
deviation of the logarithm of the rate, pooled over all comparisons so far; the means of two rounds each differ by as
much by chance, and twice that, but at least 2 %, is what a gain has to exceed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from serving.tune.load import Round, percentile
from serving.tune.settings import Settings, neighbours

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
# Of the curves in the picture.
CURVE = (1, 4, 16, 64)
LEAST_GAIN = 1.02
# A p99 is the noisier figure: where neither settings keep the budget, it has to fall by so much.
LEAST_FALL = 0.9

Ask = Callable[[Settings, int], Round]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Point:
    """Some settings, asked by so many clients, in one or more rounds."""

    settings: Settings
    clients: int
    rounds: tuple[Round, ...]

    @property
    def rate(self) -> float:
        """Right answers a second: the geometric mean of the rounds."""
        if not all(one.rate for one in self.rounds):
            return 0.0
        return math.exp(sum(math.log(one.rate) for one in self.rounds) / len(self.rounds))

    @property
    def errors(self) -> dict[str, int]:
        """How often what went wrong, in all rounds."""
        return dict(sum((one.errors for one in self.rounds), start=type(self.rounds[0].errors)()))

    def latency(self, share: float) -> float:
        """A percentile of the latencies of all rounds together, in milliseconds."""
        return percentile([value for one in self.rounds for value in one.latencies], share)


@dataclass(slots=True)
class Noise:
    """How much the rate of the same settings differs from round to round."""

    _squares: float = 0.0
    _pairs: int = 0

    def add(self, point: Point) -> None:
        """Take in a point of two rounds, one shortly after the other."""
        first, second = (one.rate for one in point.rounds)
        if first and second:
            self._squares += math.log(first / second) ** 2 / 2
            self._pairs += 1

    @property
    def deviation(self) -> float:
        """Of one round, of the logarithm of its rate."""
        return math.sqrt(self._squares / self._pairs) if self._pairs else 0.0

    @property
    def least_gain(self) -> float:
        """The ratio of two rates, each of two rounds, beyond which it is no chance."""
        return max(LEAST_GAIN, math.exp(2 * self.deviation))


@dataclass(slots=True)
class Result:
    """What was found.

    Attributes:
        gain: the rate of `chosen` over that of `default`, each at its clients, measured in turn after the choice.
        least_gain: what a gain had to exceed at the end.
        kept: whether the budget is kept; True without one.
        points: everything that was measured, in order.
    """

    default: Point
    chosen: Point
    gain: float
    least_gain: float
    kept: bool
    points: list[Point]


@dataclass(slots=True)
class Search:
    """One search.

    Attributes:
        ask: carries out a round.
        drop: told of settings that will not be asked again.
        usable: cores of this machine.
        budget_ms: what the p99 has to stay within; None: the most throughput.
        minutes: when no more comparisons are begun.
        say: told what came of each.
    """

    ask: Ask
    drop: Callable[[Settings], None]
    usable: int
    budget_ms: float | None
    minutes: float
    say: Say = lambda message: None
    clock: Callable[[], float] = time.monotonic
    noise: Noise = field(default_factory=Noise)
    points: list[Point] = field(default_factory=list)

    def run(self, default: Settings) -> Result:
        """Descend, then measure what was chosen against the default once more, since the best of many looks too good.

        Raises:
            ValueError: the default settings do not answer rightly.
        """
        until = self.clock() + 60 * self.minutes
        first = self._most_clients(default)
        best, clients = default, first
        while True:
            before = best
            best = self._descend(best, clients, until)
            # Settings that answer sooner may keep the budget with more clients; with these, others may be better.
            more = clients if best == before else self._most_clients(best)
            if more == clients or self.clock() > until:
                clients = max(more, clients) if self.budget_ms is None else more
                break
            clients = more
        plain, chosen = self._in_turn((default, first), (best, clients))
        if not self._wins(chosen, plain):
            best, chosen = default, plain
        for count in CURVE:
            for settings in dict.fromkeys((default, best)):
                if not any((point.settings, point.clients) == (settings, count) for point in self.points):
                    self._measure(settings, count)
        return Result(
            default=plain,
            chosen=chosen,
            gain=chosen.rate / plain.rate,
            least_gain=self.noise.least_gain,
            kept=self._keeps(chosen),
            points=self.points,
        )

    # ---- steps

    def _most_clients(self, settings: Settings) -> int:
        """The most clients with which the budget is kept, by bisection: more clients wait longer. 1 where none do."""
        if self.budget_ms is None:
            return CLIENTS[-1]
        low, high = 0, len(CLIENTS) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._keeps(self._measure(settings, CLIENTS[middle])):
                low = middle
            else:
                high = middle - 1
        self.say(f"{settings}: {CLIENTS[low]} clients within {self.budget_ms:g} ms")
        return CLIENTS[low]

    def _descend(self, best: Settings, clients: int, until: float) -> Settings:
        """Change one setting at a time for as long as that wins; what lost against other settings is tried again."""
        tried: set[Settings] = {best}
        changed = True
        while changed:
            changed = False
            # The lists are made anew after each win, since they go out from the best.
            directions = list(neighbours(best, self.usable))
            for place in range(len(directions)):
                for candidate in list(neighbours(best, self.usable))[place]:
                    if candidate in tried:
                        continue
                    if self.clock() > until:
                        return best
                    tried.add(candidate)
                    if not self._try(candidate, best, clients):
                        break
                    best, changed = candidate, True
        return best

    def _try(self, candidate: Settings, best: Settings, clients: int) -> bool:
        old, new = self._in_turn((best, clients), (candidate, clients))
        won = self._wins(new, old)
        self.drop(best if won else candidate)
        self.say(
            f"{candidate}: {new.rate:.0f} requests/s, p99 {new.latency(0.99):.1f} ms, "
            f"{new.rate / old.rate:.2f} x the best so far, {'taken' if won else 'left'}"
            + (f" ({', '.join(new.errors)})" if new.errors else "")
        )
        return won

    def _wins(self, new: Point, old: Point) -> bool:
        if new.errors:
            return False
        if self._keeps(new) and self._keeps(old):
            return new.rate > old.rate * self.noise.least_gain
        if self._keeps(new) or self._keeps(old):
            return self._keeps(new)
        return new.latency(0.99) < old.latency(0.99) * LEAST_FALL

    def _keeps(self, point: Point) -> bool:
        return not point.errors and (self.budget_ms is None or point.latency(0.99) <= self.budget_ms)

    # ---- measuring

    def _in_turn(self, one: tuple[Settings, int], other: tuple[Settings, int]) -> tuple[Point, Point]:
        """Two rounds of each, one, other, other, one, so that what changes steadily meanwhile hits both alike."""
        rounds = [self.ask(*which) for which in (one, other, other, one)]
        old = Point(*one, (rounds[0], rounds[3]))
        new = Point(*other, (rounds[1], rounds[2]))
        for point in (old, new):
            self.noise.add(point)
        return self._kept(old), self._kept(new)

    def _measure(self, settings: Settings, clients: int) -> Point:
        return self._kept(Point(settings, clients, (self.ask(settings, clients),)))

    def _kept(self, point: Point) -> Point:
        self.points.append(point)
        return point
