"""Which settings are best: coordinate descent from the default, each step a comparison that noise cannot decide.

A shared machine is now faster, now slower. So two settings are asked in turn, one, other, other, one, and only a gain
beyond the noise counts, in most pairs of neighboring rounds. Noise is how far two rounds of the same settings are
apart: the median of all comparisons so far, as the standard deviation of the logarithm of the rate. By chance the
medians of n rounds each differ by some sqrt(2/n) of it; a gain has to exceed twice that, and 2 %. One that exceeds only
the latter is measured again, twice at most.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from serving.tune.load import Round, percentile
from serving.tune.settings import COORDINATES, Settings, neighbors

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
# Of the curves in the picture.
CURVE = (1, 4, 16, 64)
LEAST_GAIN = 1.02
MOST_BLOCKS = 3
# Of the absolute difference of two values of a normal distribution, by its standard deviation.
_MEDIAN_DIFFERENCE = 0.954
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
        """Right answers a second: the median of the rounds, as of the latencies."""
        return statistics.median(one.rate for one in self.rounds)

    @property
    def errors(self) -> dict[str, int]:
        """How often what went wrong, in all rounds."""
        return dict(sum((one.errors for one in self.rounds), start=Counter()))

    def latency(self, share: float) -> float:
        """A percentile of the latencies, in milliseconds."""
        return statistics.median(percentile(one.latencies, share) for one in self.rounds)


class Noise:
    """How much the rate of the same settings differs from round to round."""

    def __init__(self) -> None:
        self._apart: list[float] = []

    def add(self, first: Round, second: Round) -> None:
        """Take in two rounds of the same settings, one shortly after the other."""
        if first.rate and second.rate:
            self._apart.append(abs(math.log(first.rate / second.rate)))

    @property
    def deviation(self) -> float:
        """Of one round, of the logarithm of its rate."""
        return statistics.median(self._apart) / _MEDIAN_DIFFERENCE if self._apart else 0.0

    def least_gain(self, rounds: int) -> float:
        """The ratio of two rates, each of so many rounds, beyond which it is no chance."""
        return max(LEAST_GAIN, math.exp(2 * self.deviation * math.sqrt(2 / rounds)))


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
        drop: told of settings that may be unloaded; the default never has to be.
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
        alone = self._measure(default, 1)
        if alone.errors or not alone.rate:
            raise ValueError(f"the model does not answer as it should: {', '.join(alone.errors) or 'not in time'}")
        first = self._most_clients(default)
        self._in_turn((default, first), (default, first))  # nothing but noise, which the first comparison has to know
        best, clients = default, first
        while self.clock() < until:
            before = best
            best = self._descend(best, clients, until)
            # Settings that answer sooner may keep the budget with more clients; with these, others may be better.
            more = clients if best == before else self._most_clients(best)
            if more == clients:
                break
            clients = more
        plain, chosen = self._settle((default, first), (best, clients))
        if not self._wins(chosen, plain):
            chosen = plain
        for count in CURVE:
            for settings in dict.fromkeys((default, best)):
                if not any((point.settings, point.clients) == (settings, count) for point in self.points):
                    self._measure(settings, count)
        return Result(
            default=plain,
            chosen=chosen,
            gain=chosen.rate / plain.rate,
            least_gain=self.noise.least_gain(len(chosen.rounds)),
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
            for coordinate in COORDINATES:
                for direction in neighbors(best, coordinate, self.usable):
                    start = best
                    for candidate in direction:
                        if self.clock() > until:
                            return best
                        if candidate in tried:
                            break
                        tried.add(candidate)
                        if not self._try(candidate, best, clients):
                            break
                        best, changed = candidate, True
                    if best != start:  # the other directions lead away from where it was
                        break
        return best

    def _settle(self, default: tuple[Settings, int], best: tuple[Settings, int]) -> tuple[Point, Point]:
        """Both in turn; those that no longer keep the budget with two rounds again with fewer clients."""
        while True:
            plain, chosen = self._in_turn(default, best)
            if self._enough(plain) and self._enough(chosen):
                return plain, chosen
            default = (plain.settings, self._fewer(plain))
            best = (chosen.settings, self._fewer(chosen))

    def _enough(self, point: Point) -> bool:
        return self.budget_ms is None or self._keeps(point) or point.clients == CLIENTS[0]

    def _fewer(self, point: Point) -> int:
        return point.clients if self._enough(point) else CLIENTS[CLIENTS.index(point.clients) - 1]

    def _try(self, candidate: Settings, best: Settings, clients: int) -> bool:
        old, new = self._in_turn((best, clients), (candidate, clients))
        won = self._wins(new, old)
        self.drop(best if won else candidate)
        self.say(
            f"{candidate}: {new.rate:.0f} requests/s, p99 {new.latency(0.99):.1f} ms, "
            f"{_ratio(new, old):.2f} x the best so far, {'taken' if won else 'left'}"
            + (f" ({', '.join(new.errors)})" if new.errors else "")
        )
        return won

    def _wins(self, new: Point, old: Point) -> bool:
        if new.errors:
            return False
        if self._keeps(new) and self._keeps(old):
            return _ratio(new, old) > self.noise.least_gain(len(new.rounds))
        if self._keeps(new) or self._keeps(old):
            return self._keeps(new)
        return new.latency(0.99) < old.latency(0.99) * LEAST_FALL

    def _keeps(self, point: Point) -> bool:
        return not point.errors and (self.budget_ms is None or point.latency(0.99) <= self.budget_ms)

    # ---- measuring

    def _in_turn(self, one: tuple[Settings, int], other: tuple[Settings, int]) -> tuple[Point, Point]:
        """Rounds of each in turn: one, other, other, one, so that what changes steadily meanwhile hits both alike."""
        old, new = Point(*one, ()), Point(*other, ())
        for _ in range(MOST_BLOCKS):
            first, second, third, fourth = (self.ask(*which) for which in (one, other, other, one))
            self.noise.add(first, fourth)
            self.noise.add(second, third)
            old = replace(old, rounds=(*old.rounds, first, fourth))
            new = replace(new, rounds=(*new.rounds, second, third))
            if not self._undecided(new, old):
                break
        self.points += [old, new]
        return old, new

    def _undecided(self, new: Point, old: Point) -> bool:
        """Whether there is a gain that may be chance."""
        return LEAST_GAIN < _ratio(new, old) <= self.noise.least_gain(len(new.rounds))

    def _measure(self, settings: Settings, clients: int) -> Point:
        point = Point(settings, clients, (self.ask(settings, clients),))
        self.points.append(point)
        return point


def _ratio(new: Point, old: Point) -> float:
    """Of two rates: the lower median of those of neighboring rounds, so that one disturbed round makes no winner."""
    pairs = zip(new.rounds, old.rounds, strict=True)
    return statistics.median_low([one.rate / other.rate if other.rate else 1.0 for one, other in pairs])
