"""The window of 16-bit values that becomes 0 to 255 for the network."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

FULL_RANGE = (0, 65_535)


def _rising(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] >= value[1]:
        raise ValueError("the first value, which becomes black, must be below the second, which becomes white")
    return value


_Value = Annotated[int, Field(ge=0, le=65_535)]
Range16 = Annotated[tuple[_Value, _Value], AfterValidator(_rising)]
