"""The error message of an unknown key in a YAML file, with a suggestion."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError


def unknown_key(error: ValidationError, model: type[BaseModel]) -> str | None:
    """Return a sentence on the first key that `model` does not have; None if the error is about something else.

    The sentence names the key that was probably meant, or all keys that are possible in its place.
    """
    for item in error.errors():
        if item["type"] != "extra_forbidden":
            continue
        part: Any = model
        *parents, last = map(str, item["loc"])
        for step in parents:
            part = part.model_fields[step].annotation
            part = next((option for option in getattr(part, "__args__", ()) if isinstance(option, type)), part)
        keys = list(part.model_fields)
        near = difflib.get_close_matches(last, keys, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}"
        return f"unknown key {'.'.join([*parents, last])!r}: {hint}"
    return None
