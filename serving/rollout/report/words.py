"""Numbers and times as people read them."""

from __future__ import annotations

import datetime
import math

DASH = "\N{EN DASH}"
# A line must not break between a number and its unit.
SPACE = "\N{NO-BREAK SPACE}"


def parse_time(text: object) -> datetime.datetime | None:
    """Return a time in ISO 8601 with a zone; None for anything else."""
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def duration(seconds: float) -> str:
    """Return a duration with its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min` or `1 d 4 h`."""
    total = max(0, round(seconds))
    units = [(size, name) for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if total >= size]
    parts: list[str] = []
    for size, name in units[:2]:
        number, total = divmod(total, size)
        if number or not parts:
            parts.append(f"{number}{SPACE}{name}")
    return " ".join(parts) or f"0{SPACE}s"


def plain_duration(seconds: float) -> str:
    """Return a duration with ordinary spaces, for a terminal or a log."""
    return duration(seconds).replace(SPACE, " ")


def percent(share: float | None) -> str:
    """Return a share in percent with about three significant digits: `0.12 %`, `4.3 %`, `25 %`."""
    if share is None or not math.isfinite(share):
        return DASH
    value = 100 * share
    digits = 0 if value == round(value) else 1 if abs(value) >= 1 else 2
    if digits == 2 and 0 < abs(value) < 0.005:
        return f"<{SPACE}0.01{SPACE}%"
    return f"{value:.{digits}f}{SPACE}%"


def rate(count: int, total: int) -> str:
    """Return a count and its share of a total: `12 (0.4 %)`; a dash without a total."""
    if not total:
        return DASH
    return f"{count:,} ({percent(count / total)})"


def latency(seconds: float | None) -> str:
    """Return a latency with two or three significant digits: `4.2 ms`, `85 ms` or `1.3 s`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    milliseconds = 1000 * seconds
    if not milliseconds:
        return f"0{SPACE}ms"
    if milliseconds >= 1000:
        return f"{seconds:.2g}{SPACE}s" if seconds < 100 else f"{seconds:.0f}{SPACE}s"
    return f"{milliseconds:.1f}{SPACE}ms" if milliseconds < 10 else f"{milliseconds:.0f}{SPACE}ms"


def signed(value: float, digits: int = 2) -> str:
    """Return a number that may be negative, with a minus sign and not a hyphen; there is no negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def number(count: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: `1 request`, `1,200 requests`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def clock(moment: datetime.datetime | None) -> str:
    """Return a time of day in UTC: `10:15:00`."""
    return moment.astimezone(datetime.UTC).strftime("%H:%M:%S") if moment else DASH


def date_and_time(moment: datetime.datetime | None) -> str:
    """Return date and time in UTC: `2026-11-30 10:15:00 UTC`."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else DASH


def enumeration(names: list[str]) -> str:
    """Return names as a list in a sentence: `a`, `a and b`, or `a, b and c`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
