"""Figures as people write them."""

from __future__ import annotations

from math import log10

from training.metrics.interval import Share


def percent(value: float) -> str:
    """Return a share as 98.06 %, 97.3 % or 100 %. 100 % is only for 1: one mistake in 50,000 images is 99.99 %."""
    share = min(value, 0.9999) if value < 1 else value
    return f"{round(100 * share, 2):g} %"


def portion(share: Share) -> str:
    """Return a share with as many digits as its count allows: 96 % of 24 images, 98.1 % of 360, 98.06 % of 3,600.

    100 % is only for all, and 0 % only for none.
    """
    if share.count in (0, share.total):
        return f"{100 * share.value:.0f} %"
    decimals = min(2, max(0, int(log10(share.total)) - 1))
    step = 10.0**-decimals
    return f"{min(max(100 * share.value, step), 100 - step):.{decimals}f} %"


def reach(share: Share) -> str:
    """Return the interval in words: 95.9 to 98.6 %."""
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"


def counted(share: Share) -> str:
    """Return a share with its count and its interval: 98.1 % (353 of 360; 96.0 to 99.1 %)."""
    return f"{portion(share)} ({share.count:,} of {share.total:,}; {reach(share)})"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 mistake, 2 mistakes, no mistake."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}" if count else f"no {noun}"


def plain(value: float) -> str:
    """Return a value with four digits: more digits would be noise on a test set."""
    return f"{value:.4g}"


def quantity(value: float, unit: str) -> str:
    """Return a value with a unit and its metric prefix: 3.4 MFLOP, 1.26 MB."""
    value = float(f"{value:.3g}")
    power = min(4, max(0, int(log10(value)) // 3)) if value else 0
    return f"{value / 1000**power:.3g} {' kMGT'[power].strip()}{unit}"


def time(seconds: float) -> str:
    """12.3 s, 4 min 10 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, remaining_minutes = divmod(minutes, 60)
    return f"{hours} h {remaining_minutes} min" if hours else f"{minutes} min {remaining_seconds} s"
