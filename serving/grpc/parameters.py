"""Conversion of parameters between gRPC and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from serving.grpc.errors import bad_option
from serving.grpc.open_inference_pb2 import InferParameter

Value = bool | int | float | str
_INT64 = range(-(2**63), 2**63)


def to_json(parameters: Mapping[str, InferParameter]) -> dict[str, Value]:
    """Return parameters as JSON values; raise Failed for one without a value, or with NaN or infinity."""
    return {name: _value(name, parameter) for name, parameter in parameters.items()}


def _value(name: str, parameter: InferParameter) -> Value:
    chosen = parameter.WhichOneof("parameter_choice")
    if chosen is None:
        raise bad_option(
            f"parameter {name!r:.60} has no value: set bool_param, int64_param, string_param or double_param"
        )
    value: Value = getattr(parameter, chosen)
    if isinstance(value, float) and not math.isfinite(value):
        raise bad_option(f"parameter {name!r:.60} is {value}: give a finite number")
    return value


def fill(parameters: Any, values: Mapping[str, Any]) -> None:
    """Write values of a JSON response into a message's map; lists and objects become JSON text, null is left out."""
    for name, value in values.items():
        match value:
            case None:
                continue
            case bool():
                parameters[name].bool_param = value
            case int() if value in _INT64:
                parameters[name].int64_param = value
            case int():
                parameters[name].uint64_param = value
            case float():
                parameters[name].double_param = value
            case str():
                parameters[name].string_param = value
            case _:
                parameters[name].string_param = orjson.dumps(value).decode()
