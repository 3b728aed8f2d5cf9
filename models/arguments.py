"""Checks of an architecture's arguments, because people may edit the card that they come from."""

from __future__ import annotations


def at_least(minimum: int, name: str, value: object, reason: str) -> None:
    """Check that the argument `name` is a whole number of `minimum` or more.

    Raises:
        ValueError: it is not; `reason` says why it must be.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: it must be a whole number")
    if value < minimum:
        raise ValueError(f"{name} is {value}: {reason}")


def at_least_two_classes(classes: object) -> None:
    """Check the argument that all architectures have.

    Raises:
        ValueError: it is not a whole number of 2 or more.
    """
    at_least(2, "classes", classes, "a classifier needs at least 2")
