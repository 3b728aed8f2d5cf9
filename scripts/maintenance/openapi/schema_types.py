"""Types and helpers that the schemas are built from."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
WORD: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
SWITCH: Schema = {"type": "boolean"}


def described(shape: Schema, description: str) -> Schema:
    """Return a schema with a description, which comes first so that readers of the file see it first."""
    return {"description": description, **shape}


def ref(kind: str, name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Schema:
    """Return a reference to a schema."""
    return ref("schemas", name)


def object_of(properties: Schema, required: list[str] | None = None, *, more: Schema | bool = True) -> Schema:
    """Return an object schema; all properties are required unless `required` lists others."""
    needed = list(properties) if required is None else required
    document: Schema = {"type": "object", "properties": properties}
    if needed:
        document["required"] = needed
    if more is not True:
        document["additionalProperties"] = more
    return document


def list_of(items: Schema) -> Schema:
    """Return the schema of a list, which may be empty."""
    return {"type": "array", "items": items}


def many(items: Schema, max_items: int | None = None) -> Schema:
    """Return the schema of a list with one item or more."""
    return {"type": "array", "minItems": 1, **({"maxItems": max_items} if max_items else {}), "items": items}


def any_of(*names: str) -> Schema:
    """Return a choice of several schemas, by name."""
    return {"anyOf": [schema(name) for name in names]}
