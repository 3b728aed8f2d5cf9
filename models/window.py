"""The window of 16-bit values that becomes 0 to 255 for the network: fixed, or percentiles of each image."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

FULL_RANGE = (0, 65_535)


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError("the first number, which becomes black, must be below the second, which becomes white")
    return value


_Value = Annotated[int, Field(ge=0, le=65_535)]
_Percent = Annotated[float, Field(ge=0, le=100)]
Fixed = Annotated[tuple[_Value, _Value], AfterValidator(_rising)]


class Percentiles(BaseModel):
    """Window that is measured in each image, for images whose exposure differs.

    Attributes:
        percentiles: percentiles of the values of one image that become black and white.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    percentiles: Annotated[tuple[_Percent, _Percent], AfterValidator(_rising)]


_FIXED: TypeAdapter[tuple[int, int]] = TypeAdapter(Fixed)


def _either(value: Any, _: ValidatorFunctionWrapHandler) -> tuple[int, int] | Percentiles:
    """Validate a mapping as percentiles and anything else as values, so that an error is about what the user wrote."""
    if isinstance(value, dict | Percentiles):
        return Percentiles.model_validate(value)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("give two values, such as [0, 4095], or percentiles, such as {percentiles: [1, 99]}")
    return _FIXED.validate_python(value)


Window = Annotated[Fixed | Percentiles, WrapValidator(_either)]
