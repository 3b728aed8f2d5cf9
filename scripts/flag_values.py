"""Validators for the values of flags."""

from __future__ import annotations

from collections.abc import Callable


def between(low: float, high: float) -> Callable[[object, float | None], None]:
    """Return a validator that accepts numbers from `low` to `high`."""

    def check(_: object, value: float | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"Give a number from {low:g} to {high:g}.")

    return check


def positive(_: object, value: float | None) -> None:
    """Accept numbers above 0 and below a million, and not NaN."""
    if value is not None and not 0 < value < 1e6:
        raise ValueError("Give a number above 0.")
