"""The words that schemas are made of."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
WORD: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}


def ref(kind: str, name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Schema:
    """A reference to a schema."""
    return ref("schemas", name)


def object_of(properties: Schema, required: list[str] | None = None, *, more: Schema | bool = True) -> Schema:
    """An object; all its properties are required unless said otherwise."""
    needed = list(properties) if required is None else required
    found: Schema = {"type": "object", "properties": properties}
    if needed:
        found["required"] = needed
    if more is not True:
        found["additionalProperties"] = more
    return found


def many(items: Schema, most: int | None = None) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "minItems": 1, **({"maxItems": most} if most else {}), "items": items}


def any_of(*names: str) -> Schema:
    """One of several schemas, by name."""
    return {"anyOf": [schema(name) for name in names]}
