"""The timeline: phases, share, latency and bad responses of both versions, and verdicts, on one time axis."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serving.rollout.phase import RolloutPhase
from serving.rollout.report import check_names, figures, periods, words
from serving.rollout.report.charts import scale
from serving.rollout.report.charts.scale import Scale
from serving.rollout.report.evidence import Evidence
from serving.rollout.report.figures import ArmFigures, Moment
from serving.rollout.report.periods import Period
from serving.rollout.verdict import Outcome

# Units of the SVG, which are CSS pixels at full width.
WIDTH, LEFT, RIGHT = 960, 176, 108
BAND_HEIGHT, PANEL_HEIGHT, PANEL_GAP, STRIP_HEIGHT, AXIS_HEIGHT = 26, 74, 26, 24, 24
LABEL_HEIGHT = 15
# Average width of a character of the labels.
CHARACTER = 7.2
# Points of a line; figures come once a second.
MAX_POINTS = 300
# A rate of fewer requests says nothing, and would hide the others.
MIN_REQUESTS = 20
# A verdict at the end of the rollout must be visible.
MIN_SEGMENT = 5.0
SYMBOLS = {Outcome.PASS: "\N{CHECK MARK}", Outcome.FAIL: "\N{MULTIPLICATION X}", Outcome.INCONCLUSIVE: "?"}
STATE_WORDS = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.INCONCLUSIVE: "no verdict"}


@dataclass(frozen=True, slots=True)
class Band:
    """A phase at the top of the chart. The label is empty if there is no room for it."""

    x: float
    width: float
    label: str
    title: str
    group: str


@dataclass(frozen=True, slots=True)
class Line:
    """The line of one version, with its last value at the end."""

    arm: str
    points: str
    label: str
    label_y: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure over time. `ticks` are positions with texts."""

    title: str
    note: str
    top: float
    ticks: list[tuple[float, str]]
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Segment:
    """The time in which a check had one verdict."""

    x: float
    width: float
    outcome: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The verdicts of one check over time."""

    title: str
    y: float
    segments: list[Segment]
    last: str
    symbol: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Positions of everything on the chart.

    Attributes:
        quiet: kinds of bad responses that neither version had.
        phases: names of the phases, in order.
    """

    height: float
    plot_bottom: float
    bands: list[Band]
    pauses: list[Band]
    panels: list[Panel]
    strips: list[Strip]
    ticks: list[tuple[float, str]]
    quiet: list[str]
    phases: str
    min_requests: int = MIN_REQUESTS
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    panel_height: int = PANEL_HEIGHT
    strip_height: int = STRIP_HEIGHT
    band_height: int = BAND_HEIGHT


def timeline(evidence: Evidence, phases: Sequence[Period]) -> Timeline | None:
    """Return the chart; None for a rollout that has no time yet, or no state."""
    rollout = evidence.rollout
    if rollout is None or not phases or (start := words.parse_time(rollout.started)) is None:
        return None
    length = max(1.0, (periods.end_of(evidence) - start).total_seconds())
    across = Scale(0.0, length, LEFT, WIDTH - RIGHT)

    def x(time: datetime.datetime) -> float:
        return across((time - start).total_seconds())

    top = BAND_HEIGHT + 14.0
    panels, quiet = [], []
    for panel in _panels(evidence, x):
        if panel is None:
            continue
        if isinstance(panel, str):
            quiet.append(panel)
            continue
        panels.append(panel(top))
        top += PANEL_HEIGHT + PANEL_GAP
    strips = _strips(evidence, x, top + 8)
    bottom = top + (len(strips) * STRIP_HEIGHT + 12 if strips else 0)
    return Timeline(
        height=bottom + AXIS_HEIGHT,
        plot_bottom=bottom,
        bands=_bands(phases, x),
        pauses=[_pause(x(start), x(end), (end - start).total_seconds()) for start, end in periods.pauses(evidence)],
        panels=panels,
        strips=strips,
        ticks=[(across(second), words.duration(second)) for second in scale.time_ticks(length)],
        quiet=quiet,
        phases=_names(phases),
    )


def _names(phases: Sequence[Period]) -> str:
    """Return the names of the phases, with the shares of the canary in parentheses."""
    shares = [words.percent(period.share) for period in phases if period.share is not None]
    names = []
    for period in phases:
        name = "preparation" if period.phase in periods.PREPARATION else periods.WORK.get(period.phase, "")
        if name and name not in names:
            names.append(name)
    texts = [f"{name} ({', '.join(shares)})" if name == "canary" and shares else name for name in names]
    return words.enumeration(texts)


def _bands(phases: Sequence[Period], x: Callable[[datetime.datetime], float]) -> list[Band]:
    """Return the phases; those before the shadow are one."""
    bands = []
    preparation = [period for period in phases if period.phase in periods.PREPARATION]
    if preparation:
        names = ", ".join(f"{period.name} {words.duration(period.seconds)}" for period in preparation)
        first, last = x(preparation[0].start), x(preparation[-1].end)
        bands.append(Band(first, last - first, _fitting(last - first, "preparation"), names, "preparation"))
    for period in phases:
        if period.phase not in periods.PREPARATION:
            first, width = x(period.start), round(x(period.end) - x(period.start), 1)
            title = f"{period.name}: {words.duration(period.seconds)}"
            short = words.percent(period.share) if period.share is not None else ""
            bands.append(Band(first, width, _fitting(width, period.name, short), title, period.phase.value))
    return bands


def _pause(start: float, end: float, seconds: float) -> Band:
    width = max(2.0, round(end - start, 1))
    return Band(start, width, _fitting(width, "paused"), f"paused: {words.duration(seconds)}", "paused")


def _fitting(width: float, *labels: str) -> str:
    return next((label for label in labels if label and len(label) * CHARACTER + 8 <= width), "")


PanelAt = Callable[[float], Panel]


def _panels(evidence: Evidence, x: Callable[[datetime.datetime], float]) -> list[PanelAt | str | None]:
    """Return the panels: each takes its top; a text says why there is none; None leaves it out."""
    moments = evidence.moments
    if not moments or evidence.rollout is None:
        return []
    stable, candidate = evidence.rollout.stable, evidence.rollout.candidate
    rates = _rates(moments)
    share = [(moment.time, moment.share) for moment in moments]
    result: list[PanelAt | str | None] = [
        _panel("Share of requests", f"that {candidate} answers", x, {candidate: ("candidate", share)}, words.percent)
    ]
    latencies = {
        stable: ("stable", [(moment.time, moment.stable.p95) for moment in moments]),
        candidate: ("candidate", [(moment.time, moment.candidate.p95) for moment in moments]),
    }
    result.append(_panel("Latency", "95th percentile of the step", x, latencies, words.latency))
    for name, title in (("errors", "Errors"), ("slow", "Slow responses"), ("referred", "Referred images")):
        lines = {
            stable: ("stable", [(time, _share(counts, name)) for time, counts, _ in rates]),
            candidate: ("candidate", [(time, _share(counts, name)) for time, _, counts in rates]),
        }
        if not rates:
            result.append(None)
        elif any(value for _, points in lines.values() for _, value in points):
            result.append(_panel(title, "so far, share of requests", x, lines, words.percent))
        else:
            result.append(title.lower())
    return result


Points = Sequence[tuple[datetime.datetime, float | None]]


def _panel(
    title: str,
    note: str,
    x: Callable[[datetime.datetime], float],
    series: Mapping[str, tuple[str, Points]],
    text: Callable[[float | None], str],
) -> PanelAt | None:
    values = [value for _, points in series.values() for _, value in points if value is not None]
    if not values:
        return None
    high = scale.round_up(max(values))

    def at(top: float) -> Panel:
        up = Scale(0.0, high, top + PANEL_HEIGHT, top)
        lines = []
        for version, (arm, points) in series.items():
            drawn = [(x(time), up(value)) for time, value in points if value is not None]
            last = next((value for _, value in reversed(points) if value is not None), None)
            if drawn and last is not None:
                label = text(last) if len(series) == 1 else f"{version}: {text(last)}"
                lines.append(Line(arm, _path(drawn), label, drawn[-1][1]))
        positions = scale.apart([line.label_y for line in lines], LABEL_HEIGHT, top + 4, top + PANEL_HEIGHT)
        lines = [Line(line.arm, line.points, line.label, y) for line, y in zip(lines, positions, strict=True)]
        return Panel(title, note, top, [(up(value), text(value)) for value in (0.0, high / 2, high)], lines)

    return at


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Return the points of a line in steps, with at most about MAX_POINTS of them."""
    every = max(1, len(points) // MAX_POINTS)
    drawn_points = [*points[:-1:every], points[-1]]
    path = [drawn_points[0]]
    for (_, before), (across, after) in itertools.pairwise(drawn_points):
        path += [(across, before), (across, after)] if before != after else [(across, after)]
    return " ".join(f"{across:g},{down:g}" for across, down in path)


def _rates(moments: Sequence[Moment]) -> list[tuple[datetime.datetime, ArmFigures, ArmFigures]]:
    """Return the counts of both versions so far, from the first canary step on. Then both get real requests."""
    stable, candidate = ArmFigures(), ArmFigures()
    result = []
    phases = (RolloutPhase.CANARY, RolloutPhase.PROMOTED, RolloutPhase.BAKING, RolloutPhase.ROLLING_BACK)
    counted = [moment for moment in moments if moment.phase in phases]
    for moment, following in itertools.zip_longest(counted, counted[1:]):
        result.append((moment.time, stable + moment.stable, candidate + moment.candidate))
        if following is not None and figures.stage_of(moment) != figures.stage_of(following):
            stable, candidate = stable + moment.stable, candidate + moment.candidate
    return result


def _share(counts: ArmFigures, name: str) -> float | None:
    return getattr(counts, name) / counts.requests if counts.requests >= MIN_REQUESTS else None


def _strips(evidence: Evidence, x: Callable[[datetime.datetime], float], top: float) -> list[Strip]:
    """Return a strip for each check that has a verdict, in the order of the rollout."""
    rollout = evidence.rollout
    assert rollout is not None
    end = periods.end_of(evidence)
    by_check: dict[str, list[tuple[datetime.datetime, Outcome, str]]] = {}
    for verdict in [*evidence.verdicts, *rollout.verdicts.values()]:
        time = words.parse_time(verdict.time)
        if time is not None:
            by_check.setdefault(verdict.check, []).append((time, verdict.outcome, verdict.message))
    names = [name for name in check_names.CHECKS if name in by_check]
    names += [name for name in by_check if name not in check_names.CHECKS]
    strips = []
    for index, name in enumerate(names):
        changes = sorted(by_check[name], key=lambda change: change[0])
        segments: list[Segment] = []
        for (time, outcome, message), following in itertools.zip_longest(changes, changes[1:]):
            first, last = x(time), x(following[0] if following else end)
            if segments and segments[-1].outcome == outcome.value:
                previous = segments.pop()
                first = previous.x
            title = f"{words.clock(time)} {STATE_WORDS[outcome]}: {message}"
            first = min(first, WIDTH - RIGHT - MIN_SEGMENT)
            segments.append(Segment(first, max(MIN_SEGMENT, round(last - first, 1)), outcome.value, title))
        last_outcome = changes[-1][1]
        strips.append(
            Strip(
                check_names.name_of(name).title,
                top + index * STRIP_HEIGHT,
                segments,
                STATE_WORDS[last_outcome],
                SYMBOLS[last_outcome],
                last_outcome.value,
            )
        )
    return strips
