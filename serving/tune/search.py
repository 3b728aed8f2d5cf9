"""Search for the best settings: coordinate descent from the default, with comparisons that noise cannot decide.

The speed of a shared machine varies. So two settings A and B are measured in interleaved rounds, A B B A, and only a
gain beyond the noise counts, in most pairs of neighboring rounds. Noise is the difference of two rounds of the same
settings: the median of all comparisons so far, as the standard deviation of the logarithm of the rate. By chance, the
medians of n rounds each differ by about sqrt(2/n) of it. A gain must exceed twice that, and 2 %. A gain between these
two limits is measured again, at most twice.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from serving.tune.load import Round, percentile
from serving.tune.settings import COORDINATES, WorkerSettings, neighbors

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
# Numbers of clients of the curves in the plot.
CURVE = (1, 4, 16, 64)
MIN_GAIN = 1.02
MAX_BLOCKS = 3
# Median of the absolute difference of two normal values, divided by their standard deviation.
_MEDIAN_DIFFERENCE = 0.954
# If neither settings keep the budget, the p99, which is noisier, must fall to this share.
MAX_P99_RATIO = 0.9

Measure = Callable[[WorkerSettings, int], Round]
Log = Callable[[str], None]
Loaded = tuple[WorkerSettings, int]
"""Settings, and the number of clients that load them."""


@dataclass(frozen=True, slots=True)
class Point:
    """Settings measured with a number of clients, in one or more rounds."""

    settings: WorkerSettings
    clients: int
    rounds: tuple[Round, ...]

    @property
    def rate(self) -> float:
        """Return the correct responses per second, as the median of the rounds."""
        return statistics.median(measured.rate for measured in self.rounds)

    @property
    def errors(self) -> dict[str, int]:
        """Return the number of failures by message, of all rounds."""
        return dict(sum((measured.errors for measured in self.rounds), start=Counter()))

    def latency(self, share: float) -> float:
        """Return a percentile of the latencies in milliseconds, as the median of the rounds."""
        return statistics.median(percentile(measured.latencies, share) for measured in self.rounds)


class Noise:
    """Variation of the rate between rounds of the same settings."""

    def __init__(self) -> None:
        self._differences: list[float] = []

    def add(self, first: Round, second: Round) -> None:
        """Add two rounds of the same settings that were measured close together."""
        if first.rate and second.rate:
            self._differences.append(abs(math.log(first.rate / second.rate)))

    @property
    def deviation(self) -> float:
        """Return the standard deviation of the logarithm of a round's rate."""
        return statistics.median(self._differences) / _MEDIAN_DIFFERENCE if self._differences else 0.0

    def min_gain(self, rounds: int) -> float:
        """Return the ratio of two rates, each of `rounds` rounds, that chance does not exceed."""
        return max(MIN_GAIN, math.exp(2 * self.deviation * math.sqrt(2 / rounds)))


@dataclass(slots=True)
class Result:
    """Result of a search.

    Attributes:
        gain: rate of `chosen` divided by that of `default`, from interleaved rounds after the choice.
        min_gain: limit that a gain had to exceed at the end.
        within_budget: True if the p99 is within the budget, or without a budget.
        points: everything that was measured, in order.
    """

    default: Point
    chosen: Point
    gain: float
    min_gain: float
    within_budget: bool
    points: list[Point]


@dataclass(slots=True)
class Search:
    """One search.

    Attributes:
        measure: measures one round.
        unload: called with settings that may be unloaded; never with the default.
        usable: number of usable cores.
        budget_ms: limit for the p99; None searches for the highest throughput.
        minutes: time after which no comparison starts.
        log: called with the result of each comparison.
    """

    measure: Measure
    unload: Callable[[WorkerSettings], None]
    usable: int
    budget_ms: float | None
    minutes: float
    log: Log = lambda message: None
    clock: Callable[[], float] = time.monotonic
    noise: Noise = field(default_factory=Noise)
    points: list[Point] = field(default_factory=list)

    def run(self, default: WorkerSettings) -> Result:
        """Descend, then compare the choice with the default once more, because the best of many is overestimated.

        Raises:
            ValueError: the default settings give wrong answers.
        """
        until = self.clock() + 60 * self.minutes
        alone = self._measure(default, 1)
        if alone.errors or not alone.rate:
            raise ValueError(f"the model gives wrong answers: {', '.join(alone.errors) or 'not in time'}")
        first = self._max_clients(default)
        self._interleaved((default, first), (default, first))  # measures the noise, which the first comparison needs
        best, clients = default, first
        while self.clock() < until:
            before = best
            best = self._descend(best, clients, until)
            # Faster settings may keep the budget with more clients, and then other settings may be better.
            more = clients if best == before else self._max_clients(best)
            if more == clients:
                break
            clients = more
        plain, chosen = self._compare_within_budget((default, first), (best, clients))
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
            min_gain=self.noise.min_gain(len(chosen.rounds)),
            within_budget=self._keeps(chosen),
            points=self.points,
        )

    # ---- steps

    def _max_clients(self, settings: WorkerSettings) -> int:
        """Return the maximum number of clients within the budget, by bisection, or 1: more clients wait longer."""
        if self.budget_ms is None:
            return CLIENTS[-1]
        low, high = 0, len(CLIENTS) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._keeps(self._measure(settings, CLIENTS[middle])):
                low = middle
            else:
                high = middle - 1
        self.log(f"{settings}: {CLIENTS[low]} clients within {self.budget_ms:g} ms")
        return CLIENTS[low]

    def _descend(self, best: WorkerSettings, clients: int, until: float) -> WorkerSettings:
        """Change one setting at a time while that wins; a change that lost is tried again with other settings."""
        tried: set[WorkerSettings] = {best}
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
                    if best != start:  # the other directions start from the former settings
                        break
        return best

    def _compare_within_budget(self, default: Loaded, best: Loaded) -> tuple[Point, Point]:
        """Compare both settings; repeat with fewer clients for settings that exceed the latency budget."""
        while True:
            plain, chosen = self._interleaved(default, best)
            if self._enough(plain) and self._enough(chosen):
                return plain, chosen
            default = (plain.settings, self._fewer(plain))
            best = (chosen.settings, self._fewer(chosen))

    def _enough(self, point: Point) -> bool:
        return self.budget_ms is None or self._keeps(point) or point.clients == CLIENTS[0]

    def _fewer(self, point: Point) -> int:
        return point.clients if self._enough(point) else CLIENTS[CLIENTS.index(point.clients) - 1]

    def _try(self, candidate: WorkerSettings, best: WorkerSettings, clients: int) -> bool:
        old, new = self._interleaved((best, clients), (candidate, clients))
        won = self._wins(new, old)
        self.unload(best if won else candidate)
        self.log(
            f"{candidate}: {new.rate:.0f} requests/s, p99 {new.latency(0.99):.1f} ms, "
            f"{_ratio(new, old):.2f} x the best so far, {'taken' if won else 'rejected'}"
            + (f" ({', '.join(new.errors)})" if new.errors else "")
        )
        return won

    def _wins(self, new: Point, old: Point) -> bool:
        if new.errors:
            return False
        if self._keeps(new) and self._keeps(old):
            return _ratio(new, old) > self.noise.min_gain(len(new.rounds))
        if self._keeps(new) or self._keeps(old):
            return self._keeps(new)
        return new.latency(0.99) < old.latency(0.99) * MAX_P99_RATIO

    def _keeps(self, point: Point) -> bool:
        return not point.errors and (self.budget_ms is None or point.latency(0.99) <= self.budget_ms)

    # ---- measuring

    def _interleaved(self, before: Loaded, after: Loaded) -> tuple[Point, Point]:
        """Measure in the order A B B A, so that a steady change of the machine affects both alike."""
        old, new = Point(*before, ()), Point(*after, ())
        for _ in range(MAX_BLOCKS):
            first, second, third, fourth = (self.measure(*side) for side in (before, after, after, before))
            self.noise.add(first, fourth)
            self.noise.add(second, third)
            old = replace(old, rounds=(*old.rounds, first, fourth))
            new = replace(new, rounds=(*new.rounds, second, third))
            if not self._undecided(new, old):
                break
        self.points += [old, new]
        return old, new

    def _undecided(self, new: Point, old: Point) -> bool:
        """Return True for a gain that may be chance."""
        return MIN_GAIN < _ratio(new, old) <= self.noise.min_gain(len(new.rounds))

    def _measure(self, settings: WorkerSettings, clients: int) -> Point:
        point = Point(settings, clients, (self.measure(settings, clients),))
        self.points.append(point)
        return point


def _ratio(new: Point, old: Point) -> float:
    """Return the ratio of two rates: the lower median over neighboring rounds, which one disturbed round cannot win."""
    pairs = zip(new.rounds, old.rounds, strict=True)
    return statistics.median_low([after.rate / before.rate if before.rate else 1.0 for after, before in pairs])
